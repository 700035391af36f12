"""The results of a scoring worker for a chunk of images, and the artifact that the stage makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from orchestrator.artifacts import dataset
from orchestrator.artifacts.dataset import Counts
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.top_k import expand, record_type
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.pipeline.kinds import ScoreSpec
from orchestrator.recipe.resources import Resources
from orchestrator.stages import score
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job
from orchestrator.training.networks import new_network
from tests.artifacts.formats import about_data
from tests.training.examples import network_spec

IMAGES, CLASSES, VIEWS, SIZE = 20, 6, 2, 16
EXPERTS = ("small", "large")
NETWORK = network_spec("plain_cnn_2", CLASSES)
CHUNK = {"start": np.array([5]), "stop": np.array([15])}


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """A worker sets the number of its process, here that of all tests."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def rows_of(folder: Path, top_k: int | None, scale: float = 1.0) -> score.Rows:
    """A worker's rows for the chunk; ``scale`` multiplies the second expert's weights."""
    store = Store(str(folder))
    about = about_data(
        classes=CLASSES, class_names=tuple("abcdef"), image_shape=(1, SIZE, SIZE), image_size=SIZE,
        counts=Counts(IMAGES, 0, 0, 0), mean=(0.5,), std=(0.25,),
    )  # fmt: skip
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, SIZE, SIZE, 1), dtype=np.uint8)
    with store.scratch() as scratch:
        dataset.write_arrays(scratch, about, np.arange(IMAGES) % CLASSES, np.zeros(IMAGES, np.uint8), images, None)
        inputs = {"data": store.commit(Artifact("data", "ingest", "data", {}, {}, 0.0, 0.0, "here"), scratch)}
    for seed, name in enumerate(EXPERTS):
        weights = new_network(NETWORK, seed).state_dict()
        if seed:
            weights = {key: value * scale if key.endswith("weight") else value for key, value in weights.items()}
        with store.scratch() as scratch:
            safetensors.torch.save_file(weights, scratch / WEIGHTS)
            record = Artifact(f"expert-{name}", "train", name, {}, {}, 0.0, 0.0, "here")
            inputs[f"expert:{name}"] = store.commit(record, scratch)
    job = Job(
        kind="score", name="score", identity="score-0", spec=spec(top_k).model_dump(mode="json"), inputs=inputs,
        storage=str(folder), dataset_root="", resources=Resources(),
    )  # fmt: skip
    return score.ExpertRunner(job)(CHUNK)


def spec(top_k: int | None) -> ScoreSpec:
    return ScoreSpec(
        experts=EXPERTS, networks=(NETWORK, NETWORK), views=VIEWS, views_seed=0, augmentation="crop", precision="fp32",
        threads=1, top_k=top_k,
    )  # fmt: skip


def test_the_largest_logits_of_each_view_are_those_of_the_whole(tmp_path: Path) -> None:
    whole, shortened = (rows_of(tmp_path / str(top_k), top_k) for top_k in (None, 3))
    assert whole["views"].shape == (10, len(EXPERTS), VIEWS, CLASSES) and whole["views"].dtype == np.float16
    records = score.as_records(shortened["views"], record_type(CLASSES, 3))
    assert records.shape == (10, len(EXPERTS), VIEWS)
    kept = records["classes"].astype(np.int64)
    np.testing.assert_array_equal(np.take_along_axis(whole["views"], kept, axis=-1), records["logits"])
    np.testing.assert_array_equal(np.take_along_axis(expand(records, CLASSES), kept, axis=-1), records["logits"])
    np.testing.assert_array_equal(whole["clean"], shortened["clean"])
    for rows in (whole, shortened):
        np.testing.assert_array_equal(rows["number"], np.arange(5, 15))


@pytest.mark.parametrize("top_k", [None, 3])
def test_logits_that_fp16_can_t_hold_are_refused_naming_the_expert(top_k: int | None, tmp_path: Path) -> None:
    rows = rows_of(tmp_path, top_k, scale=3e3)
    if top_k:
        rows["views"] = score.as_records(rows["views"], record_type(CLASSES, top_k))
    with pytest.raises(StageError, match="logits of large are too large for fp16, in which they are stored"):
        score.check_finite(spec(top_k), rows)
