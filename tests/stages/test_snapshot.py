"""A training that keeps snapshots, and the stage that makes experts of them; in the test's own process."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.artifacts import dataset, trained
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.trained import WEIGHTS, snapshot_file
from orchestrator.datasets import TRAIN, VALIDATION
from orchestrator.pipeline.kinds import SnapshotSpec
from orchestrator.pipeline.placement import Facts
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe.choices import Spec
from orchestrator.recipe.schema import Resources
from orchestrator.stages import snapshot, train
from orchestrator.stages.job import Job
from orchestrator.training.weights.files import read_safetensors
from tests.artifacts.formats import about_data
from tests.training.examples import CLASSES, SIZE, training

STEP = 7
SPEC = training(record_learned_step=True)


@pytest.fixture
def storage(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """A stage sets the number of its process, here that of all tests."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data(storage: Store) -> Artifact:
    """Images of noise with a brightness of each class."""
    random, count = np.random.default_rng(0), 120
    labels = np.arange(count) % CLASSES
    images = (random.integers(0, 100, (count, SIZE, SIZE, 1)) + 40 * labels[:, None, None, None]).astype(np.uint8)
    subset = np.where(np.arange(count) < 90, TRAIN, VALIDATION).astype(np.uint8)
    about = about_data(
        classes=CLASSES, class_names=tuple("abcd"), image_shape=(1, SIZE, SIZE), image_size=SIZE, mean=(0.5,),
        std=(0.25,), counts=dataset.Counts(90, 30, 0, 0),
    )  # fmt: skip
    with storage.scratch() as scratch:
        dataset.write_arrays(scratch, about, labels, subset, images, None)
        return storage.commit(Artifact("data", "ingest", "data", {}, {}, 0.0, 0.0, "here"), scratch)


def job(storage: Store, kind: str, spec: Spec, inputs: dict[str, Artifact], **changes: Any) -> Job:
    return Job(
        kind=kind, name=f"{kind}/x", identity=f"{kind}-0", spec=spec.model_dump(mode="json"), inputs=inputs,
        storage=storage.location, dataset_root="", resources=Resources(), **changes,
    )  # fmt: skip


def trained_with(storage: Store, data: Artifact, steps: tuple[int, ...], spec: TrainSpec = SPEC) -> Artifact:
    return train.run(job(storage, "train", spec, {"data": data}, facts=Facts(part="expert", snapshots=steps)))


def files_of(storage: Store, artifact: Artifact) -> FolderFiles:
    return FolderFiles(storage.fetch(artifact))


def test_a_snapshot_is_an_expert_with_the_weights_of_its_step(storage: Store, data: Artifact) -> None:
    teacher = trained_with(storage, data, (STEP, 12))
    assert {snapshot_file(STEP), snapshot_file(12)} < teacher.files.keys()
    spec = SnapshotSpec(network=SPEC.network, step=STEP, precision="fp32", threads=SPEC.threads)
    made = snapshot.run(job(storage, "snapshot", spec, {"data": data, "network": teacher}))
    files, of_teacher = files_of(storage, made), files_of(storage, teacher)
    assert made.files[WEIGHTS] == teacher.files[snapshot_file(STEP)] != teacher.files[WEIGHTS]
    assert read_safetensors(files.path(WEIGHTS)).class_names == tuple("abcd")
    assert made.results["weights_sha256"] == made.files[WEIGHTS]["sha256"]
    assert 0 <= made.results["validation_accuracy"] <= 1 and made.results["validation_loss"] > 0
    np.testing.assert_array_equal(trained.read_learned_step(files), trained.read_learned_step(of_teacher))


def test_a_snapshot_of_a_validation_s_step_has_the_accuracy_that_the_training_measured(
    storage: Store, data: Artifact
) -> None:
    teacher = trained_with(storage, data, (8,))
    spec = SnapshotSpec(network=SPEC.network, step=8, precision="fp32", threads=SPEC.threads)
    made = snapshot.run(job(storage, "snapshot", spec, {"data": data, "network": teacher}))
    (row,) = (row for row in trained.read_history(files_of(storage, teacher)) if row["step"] == 8)
    assert made.results["validation_accuracy"] == row["validation_accuracy"]
    assert made.results["validation_loss"] == pytest.approx(row["validation_loss"], rel=1e-5)


def test_the_cost_of_added_snapshots_is_told_apart_from_the_training_s_own(storage: Store, data: Artifact) -> None:
    costs, whole = [], 0.0
    for steps in ((), (STEP,), (STEP, 12)):
        began = time.time()
        made = trained_with(storage, data, steps)
        costs.append(made.results["cost"])
        assert 0 < costs[-1]["slot_seconds"] <= time.time() - began + 0.001
        whole += costs[-1]["slot_seconds"]
        assert made.slot_seconds == pytest.approx(whole)
    assert [cost.get("earlier_slot_seconds", 0) > 0 for cost in costs] == [False, True, True]
    assert {cost["width"] for cost in costs} == {1}


def test_a_training_that_was_cached_without_is_given_its_snapshots_and_stays_as_it_was(
    storage: Store, data: Artifact, tmp_path: Path
) -> None:
    before = trained_with(storage, data, ())
    after = trained_with(storage, data, (STEP,))
    assert storage.find("train-0") == after and storage.damaged_files(after) == []
    assert after.files.keys() == before.files.keys() | {snapshot_file(STEP)}
    assert {name: after.files[name] for name in before.files} == before.files
    assert after.results["weights_sha256"] == before.results["weights_sha256"]
    assert after.start > before.start
    other = Store(str(tmp_path / "other"))
    with other.scratch() as scratch:
        for name in data.files:
            (scratch / name).write_bytes(Path(storage.folder("data"), name).read_bytes())
        at_once = trained_with(other, other.commit(dataclasses.replace(data, files={}), scratch), (STEP,))
    assert at_once.files[snapshot_file(STEP)] == after.files[snapshot_file(STEP)]
