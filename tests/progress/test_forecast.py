"""Forecast of a run's end."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.pipeline.specs import SearchSpec, TrainSpec
from orchestrator.progress.forecast import work
from tests.progress.runs import Run

SIZES = {"large": 1000, "large@dense": 1000, "small": 10}


def training(run: Run, **guidance: object) -> TrainSpec:
    spec = next(stage.spec for stage in run.plan.stages if isinstance(stage.spec, TrainSpec))
    network = spec.network.model_copy(update={"name": "small"})
    return spec.model_copy(update={
        "network": network, "steps": 6, "batch_size": 5, "guidance": spec.guidance.model_copy(update=guidance),
    })  # fmt: skip


def test_training_is_a_forward_and_two_backward_passes_and_online_experts_one_forward_each(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert work(training(run, kind="labels", experts=()), SIZES, 0) == 30 * 30
    both = {"experts": ("small", "large@dense")}
    assert work(training(run, kind="dense", source="online", **both), SIZES, 0) == 30 * (30 + 1010)
    assert work(training(run, kind="selected", source="online", **both), SIZES, 0) == 30 * (30 + 505)
    assert work(training(run, kind="selected", source="cached", **both), SIZES, 0) == 30 * 30


def test_a_search_is_the_trainings_of_all_its_rungs(tmp_path: Path) -> None:
    run = Run(tmp_path, "search.trials=8", "search.scheduler=halving", "search.rungs=[0.25]")
    spec = next(stage.spec for stage in run.plan.stages if isinstance(stage.spec, SearchSpec))
    student = training(run, kind="labels", experts=()).model_copy(update={"steps": 8})
    search = spec.model_copy(update={"student": student})
    assert work(search, SIZES, 0) == (8 * 2 + 2 * 8) * 5 * 30


def test_nothing_is_foretold_before_anything_has_been_measured(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.seconds_left() is None
    assert run.overall() == f"0 of {len(run.plan.stages)} stages done"


def test_equal_stages_are_predicted_to_take_as_long_as_the_first(tmp_path: Path) -> None:
    run = Run(tmp_path, "methods=[labels]", "seeds=[0,1,2]")
    students = [f"student/labels/seed-{seed}" for seed in range(3)]
    tests = [f"evaluate/labels/seed-{seed}" for seed in range(3)]
    run.end_all_but(*students[1:], *tests[1:])  # each stage took 2 slot-seconds
    run.state.set_slots(2.0)
    assert run.seconds_left() == pytest.approx(4.0)  # a student and its test, two chains at once
    run.state.set_slots(1.0)
    assert run.seconds_left() == pytest.approx(8.0)
    assert run.overall().endswith("stages done, about 0:08 left")


def test_a_pace_that_is_new_is_believed_the_more_the_more_of_it_has_been_seen(tmp_path: Path) -> None:
    run = Run(tmp_path, "methods=[labels]", "seeds=[0]")
    student = "student/labels/seed-0"
    run.end_all_but(student)
    run.post({student: {"doing": "training"}})
    before = run.seconds_left()
    assert before is not None
    found = []
    for spent in (1.0, 20.0, 900.0, 1000.0):  # it takes 1000 seconds; what had been seen before it was much quicker
        left = 1000.0 - spent
        run.post({student: {"step": int(spent), "steps": 1000, "seconds_left": left, "whole_seconds": 1000.0}})
        found.append(run.seconds_left())
    assert before < found[0] < 0.1 * 1000 and found[1] == pytest.approx(0.5 * 980, rel=0.1)  # type: ignore[operator]
    assert found[2] == pytest.approx(100, rel=0.1) and found[3] == 0.0


def test_students_that_run_their_expert_are_not_taken_to_be_as_quick_as_those_on_labels(tmp_path: Path) -> None:
    for method in ("labels", "kd"):  # each of their students took 2 seconds, but kd does more in them
        run = Run(tmp_path, "methods=[labels, kd]", "seeds=[0, 1]", "distillation.source=online")
        run.end_all_but(f"student/{method}/seed-1")
        assert run.seconds_left() == pytest.approx(2.0)


def test_work_that_several_workers_share_takes_the_less_time(tmp_path: Path) -> None:
    run = Run(tmp_path, "methods=[labels]", "seeds=[0]", "resources.workers=2")
    teacher = next(stage.name for stage in run.plan.stages if stage.kind == "train")
    run.end_all_but(teacher)
    run.post({teacher: {"step": 2960, "steps": 3000, "seconds_left": 40.0, "whole_seconds": 3000.0}})
    run.state.set_slots(2.0)
    assert run.seconds_left() == pytest.approx(40.0, rel=0.02)
    run.state.set_slots(1.0)
    assert run.seconds_left() == pytest.approx(80.0, rel=0.02)  # they take turns


def test_a_finished_run_has_nothing_left(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.end_all_but()
    assert run.seconds_left() == 0.0
