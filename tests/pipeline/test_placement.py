"""Facts and placements of planned stages."""

from __future__ import annotations

import pytest

from orchestrator.pipeline.placement import Facts, Placement
from tests.examples import identities, planned, stage


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("train/plain_cnn_8", Facts("expert", expert="plain_cnn_8", topology="direct")),
        ("train/plain_cnn_4@dense", Facts("expert", expert="plain_cnn_4@dense", topology="dense")),
        ("evaluate/plain_cnn_4@dense", Facts("expert", expert="plain_cnn_4@dense", topology="dense")),
        ("fold/2-of-2", Facts("fold")),
        ("score", Facts()),
        ("score/plain_cnn_6", Facts(expert="plain_cnn_6")),
        ("score/dense", Facts(topology="dense")),
        ("search", Facts(method="ces_kd")),
        ("student/takd/seed-1", Facts("student", method="takd", seed=1)),
        ("evaluate/takd/seed-1", Facts("student", method="takd", seed=1)),
    ],
)
def test_a_stage_carries_its_facts(name: str, facts: Facts) -> None:
    assert stage(planned(), name).facts == facts


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("student/kd/seed-0", "kd/seed-0"),
        ("evaluate/kd/seed-0", "kd/seed-0"),
        ("evaluate/plain_cnn_6", "plain_cnn_6"),
        ("search", None),
        ("ingest", None),
    ],
)
def test_a_label_tells_stages_of_a_kind_apart(name: str, label: str | None) -> None:
    assert stage(planned(), name).facts.label == label


def test_an_ingest_has_its_data_set_with_the_folder() -> None:
    facts = stage(planned("dataset.root=elsewhere"), "ingest").facts
    assert facts.dataset is not None and facts.dataset.root == "elsewhere"


@pytest.mark.parametrize(
    ("name", "placement"),
    [
        ("ingest", Placement("ray_data")),
        ("train/plain_cnn_8", Placement("ray_train", 3, 2, 1.0)),
        ("train/plain_cnn_6", Placement("ray_train", 2, 2, 1.0)),
        ("fold/1-of-2", Placement("in_process", 1, 2, 0.25)),
        ("score", Placement("ray_data", 5, 2, 0.25)),
        ("search", Placement("ray_tune", 3, 2, 0.25)),
        ("student/kd/seed-0", Placement("in_process", 1, 2, 0.25)),
        ("evaluate/kd/seed-0", Placement("in_process", 1, 2, 0.25)),
        ("evaluate/plain_cnn_6", Placement("in_process", 1, 2, 0.25)),
    ],
)
def test_a_stage_is_placed_by_the_recipe_s_resources(name: str, placement: Placement) -> None:
    chosen = planned(
        "resources.workers=2", "resources.cpus=2", "resources.gpus=1", "resources.student_gpus=0.25",
        "resources.score_workers=5", "search.round_size=3",
        "ladder.networks=[{name: plain_cnn_8, workers: 3}, plain_cnn_6, plain_cnn_4, plain_cnn_2]",
    )  # fmt: skip
    assert stage(chosen, name).placement == placement


def test_neither_placement_nor_facts_are_part_of_an_identity() -> None:
    placed = planned("resources.workers=2", "resources.gpus=1", "resources.score_workers=5", "dataset.root=elsewhere")
    assert identities(placed) == identities(planned())
