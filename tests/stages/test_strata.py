"""Strata of the test images, and the accuracies of students by stratum: real stages, in this process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from curricula import selection
from curricula.difficulty import rank
from orchestrator.artifacts import strata
from orchestrator.artifacts.evaluated import read_right
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Store
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.kinds import StrataSpec
from orchestrator.training.data.images import TrainingData, load
from orchestrator.training.data.views import CLEAN
from orchestrator.training.held_out import mean_losses
from orchestrator.training.networks import load_network
from tests.export.runs import finish, generated, recipe
from tests.training.examples import CPU

Made = tuple[Plan, Store]
FOLDS, EXPERTS = 2, ("plain_cnn_4", "plain_cnn_6")  # smallest first


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run that measures the hypothesis with two experts and two seeds."""
    wanted = recipe(
        ["plain_cnn_6", "plain_cnn_4", "plain_cnn_2"], generated(1, 16), methods=["labels"], hypothesis=True,
        difficulty={"held_out_folds": FOLDS},
    )  # fmt: skip
    store = Store(str(tmp_path_factory.mktemp("run")))
    return finish(wanted, store), store


def files(made: Made, identity: str) -> FolderFiles:
    return FolderFiles(Path(made[1].folder(identity)))


def data_of(made: Made) -> TrainingData:
    folder = Path(made[1].folder(made[0].stages[0].identity))
    return load(folder, root="", augmentation="none", views_seed=0, device=CPU)


def test_a_test_image_s_difficulty_is_its_mean_loss_under_the_held_out_networks(made: Made) -> None:
    stage = made[0].strata
    assert stage is not None and isinstance(stage.spec, StrataSpec)
    data = data_of(made)
    pixels, labels = data.images.views(data.test, [CLEAN])[0], data.labels[torch.from_numpy(data.test)]
    losses = []
    for role, fold in stage.inputs[1:]:
        network = load_network(stage.spec.network, files(made, fold.identity).path(WEIGHTS)).eval()
        with torch.no_grad():
            losses.append(torch.nn.functional.cross_entropy(network(pixels), labels, reduction="none").numpy())
        assert role.startswith("fold:")
    assert len(losses) == FOLDS
    artifact = files(made, stage.identity)
    difficulty = artifact.array(strata.DIFFICULTY)
    np.testing.assert_allclose(difficulty, np.mean(losses, axis=0), rtol=1e-5)
    np.testing.assert_array_equal(strata.read_strata(artifact), selection.strata(rank(difficulty), len(EXPERTS)))


def test_strata_of_test_images_are_of_one_size(made: Made) -> None:
    assert made[0].strata is not None
    found = strata.read_strata(files(made, made[0].strata.identity))
    assert np.bincount(found).tolist() == [24, 24]


def test_the_report_has_each_stratum_s_gain_over_labels(made: Made) -> None:
    chosen, store = made
    found = json.loads(store.read_text("reports", chosen.run_id, "report.json") or "")["hypothesis"]
    assert chosen.strata is not None
    of = strata.read_strata(files(made, chosen.strata.identity))
    right = {(final.method, final.seed): read_right(files(made, final.evaluate.identity)) for final in chosen.finals}
    assert (found["experts"], found["images"]) == (list(EXPERTS), [24, 24])
    for stratum in range(2):
        these = of == stratum
        base = [right["labels", seed][these].mean() for seed in (0, 1)]
        assert found["baseline"][stratum] == pytest.approx(np.mean(base))
        for column, expert in enumerate(EXPERTS):
            gains = [right[f"kd:{expert}", seed][these].mean() - base[seed] for seed in (0, 1)]
            assert found["by_expert"]["gains"][stratum][column]["gain"] == pytest.approx(np.mean(gains))


def test_mean_losses_do_not_depend_on_the_batches(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = made[0].strata
    assert stage is not None and isinstance(stage.spec, StrataSpec)
    path = files(made, stage.inputs[1][1].identity).path(WEIGHTS)
    networks, data = [load_network(stage.spec.network, path)], data_of(made)
    whole = mean_losses(networks, data, data.test, bf16=False)
    monkeypatch.setattr("orchestrator.training.evaluation.BATCH", 7)
    np.testing.assert_allclose(mean_losses(networks, data, data.test, bf16=False), whole, rtol=1e-4, atol=1e-6)
