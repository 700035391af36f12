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


def test_students_trials_and_folds_of_several_workers_are_trained_by_ray_train() -> None:
    chosen = planned("resources.student_workers=2", "resources.student_gpus=1", "search.round_size=3")
    trained = Placement("ray_train", 2, 1, 1.0)
    assert stage(chosen, "student/kd/seed-0").placement == stage(chosen, "fold/1-of-2").placement == trained
    assert stage(chosen, "search").placement == Placement("ray_tune", 6, 1, 1.0, trial_workers=2)
    assert stage(chosen, "evaluate/kd/seed-0").placement == Placement("in_process", 1, 1, 1.0)


def test_workers_of_the_last_network_are_those_of_students_and_trials_alone() -> None:
    chosen = planned("ladder.networks=[plain_cnn_8, plain_cnn_6, plain_cnn_4, {name: plain_cnn_2, workers: 2}]")
    assert stage(chosen, "student/kd/seed-0").placement == Placement("ray_train", 2)
    assert stage(chosen, "search").placement.trial_workers == 2
    assert stage(chosen, "fold/1-of-2").placement == Placement()


def test_neither_placement_nor_facts_are_part_of_an_identity() -> None:
    placed = planned(
        "resources.workers=2", "resources.student_workers=2", "resources.gpus=1", "resources.score_workers=5",
        "dataset.root=elsewhere",
    )  # fmt: skip
    assert identities(placed) == identities(planned())


def test_beside_gpus_the_number_of_cpus_changes_no_identity() -> None:
    on_gpus = ("resources.gpus=1", "resources.student_gpus=0.5")
    moved = planned(*on_gpus, "resources.cpus=12")
    assert identities(moved) == identities(planned(*on_gpus))
    assert stage(moved, "train/plain_cnn_8").placement.cpus == 12


@pytest.mark.parametrize(
    ("on_gpus", "changed", "same"),
    [
        ("resources.gpus=1", ["fold/1-of-2", "student/labels/seed-0"], ["train/plain_cnn_8"]),
        ("resources.student_gpus=1", ["train/plain_cnn_8", "student/kd/seed-0"], ["fold/1-of-2"]),
    ],
)
def test_where_a_cpu_computes_the_number_of_threads_does(on_gpus: str, changed: list[str], same: list[str]) -> None:
    before, after = identities(planned(on_gpus)), identities(planned(on_gpus, "resources.cpus=2"))
    assert all(before[name] != after[name] for name in changed)
    assert all(before[name] == after[name] for name in same)


def test_how_a_worker_divides_a_step_changes_no_identity() -> None:
    small = "training.norm_batch=8"
    assert identities(planned(small, "resources.micro_batch=8")) == identities(planned(small))
