"""The state of every stage of a run."""

from __future__ import annotations

from pathlib import Path

from orchestrator.pipeline.graph import Failure
from tests.progress.runs import Run


def test_a_stage_waits_until_its_first_status_and_runs_until_its_artifact_is_there(tmp_path: Path) -> None:
    run = Run(tmp_path)
    ingest = run.state.stages["ingest"]
    assert ingest.state == "waiting" and not ingest.is_active
    run.state.submitted(ingest.stage)
    assert ingest.state == "waiting" and ingest.is_active
    run.state.posted("ingest", {"doing": "reading"})
    assert ingest.state == "running" and ingest.is_active
    run.state.done(run.artifacts["ingest"])
    assert (ingest.state, ingest.seconds, ingest.slot_seconds, ingest.is_active) == ("done", 2.0, 2.0, False)
    assert list(run.state.made) == list(run.state.artifacts) == [ingest.stage.identity]


def test_a_late_status_of_a_stage_that_has_ended_does_not_start_it_again(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.end("ingest")
    run.state.posted("ingest", {"doing": "reading"})
    assert run.state.stages["ingest"].state == "done"


def test_kept_artifacts_are_there_and_were_not_made_in_this_run(tmp_path: Path) -> None:
    run = Run(tmp_path, kept=["ingest"])
    ingest = run.state.stages["ingest"]
    assert (ingest.state, ingest.seconds, ingest.slot_seconds) == ("kept", None, 0.0)
    assert run.state.made == {} and ingest.stage.identity in run.state.artifacts
    assert run.state.is_ready(run.state.stages["train/plain_cnn_8"].stage)


def test_a_failure_blocks_all_that_need_the_stage_and_names_the_first_cause(tmp_path: Path) -> None:
    run = Run(tmp_path, "methods=[labels, kd]", "seeds=[0]")
    run.end("ingest")
    run.state.failed(Failure("train/plain_cnn_8", error="the loss is no longer finite\nand a traceback"))
    blocked = {failure.stage: failure.blocked_by for failure in run.state.blocked()}
    assert set(blocked.values()) == {"train/plain_cnn_8"}
    assert {"student/kd/seed-0", "evaluate/kd/seed-0", "evaluate/plain_cnn_8"} <= blocked.keys()
    assert not {"student/labels/seed-0", "evaluate/labels/seed-0"} & blocked.keys()
    for failure in run.state.blocked():
        run.state.failed(failure)
    assert run.state.blocked() == [] and run.state.stages["student/kd/seed-0"].state == "blocked"


def test_a_run_is_over_when_every_stage_is_there_or_has_failed(tmp_path: Path) -> None:
    run = Run(tmp_path, "methods=[labels]", "seeds=[0]")
    student = "student/labels/seed-0"
    run.end_all_but(student, f"evaluate/{student.removeprefix('student/')}")
    assert not run.state.is_over
    run.state.failed(Failure(student, error="its process died"))
    assert not run.state.is_over
    run.state.failed(run.state.blocked()[0])
    assert run.state.is_over


def test_a_stage_tells_its_time_left_once_it_knows_its_pace(tmp_path: Path) -> None:
    run = Run(tmp_path)
    teacher = next(entry for entry in run.state.stages.values() if entry.stage.kind == "train")
    run.state.posted(teacher.stage.name, {"step": 1, "steps": 30})
    assert (teacher.seconds_left, teacher.seconds_spent) == (None, None)
    run.state.posted(teacher.stage.name, {"step": 10, "steps": 30, "seconds_left": 5.0, "whole_seconds": 8.0})
    assert (teacher.seconds_left, teacher.seconds_spent) == (5.0, 3.0)
    run.end(teacher.stage.name)
    assert (teacher.seconds_left, teacher.seconds_spent) == (None, None)


def test_the_most_slots_are_remembered_when_a_node_leaves(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for slots in (2.0, 6.0, 4.0):
        run.state.set_slots(slots)
    assert (run.state.slots, run.state.most_slots) == (4.0, 6.0)
