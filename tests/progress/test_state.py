"""State of every stage."""

from __future__ import annotations

from pathlib import Path

from orchestrator.pipeline.graph import Failure
from orchestrator.training.pace import Timing
from tests.progress.runs import Run


def test_a_stage_is_waiting_until_its_first_status_and_running_until_its_artifact_exists(tmp_path: Path) -> None:
    run = Run(tmp_path)
    ingest = run.progress.stages["ingest"]
    assert ingest.state == "waiting"
    run.progress.status({"ingest": {"doing": "reading"}})
    assert ingest.state == "running"
    run.end("ingest")
    assert (ingest.state, ingest.seconds) == ("done", 2.0)
    assert run.view.said == ["ingest done (2 s, 320 train, 64 validation, 64 test)"]


def test_a_late_status_of_a_finished_stage_does_not_change_its_state(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.end("ingest")
    run.progress.status({"ingest": {"doing": "reading"}})
    assert run.progress.stages["ingest"].state == "done"


def test_existing_artifacts_are_cached_and_nothing_waits_for_them(tmp_path: Path) -> None:
    run = Run(tmp_path, kept=["ingest"])
    teacher = next(stage.name for stage in run.plan.stages if stage.kind == "train")
    assert run.progress.stages["ingest"].state == "kept"
    assert run.progress.waits_for(run.progress.stages[teacher]) == []


def test_a_failed_stage_has_its_error_and_blocked_ones_the_name_of_the_failed_input(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.progress.failed(Failure("ingest", error="no such folder\nand a traceback"))
    run.progress.failed(Failure("score", blocked_by="ingest"))
    states = {name: (entry.state, entry.words) for name, entry in run.progress.stages.items()}
    assert states["ingest"] == ("failed", "no such folder")
    assert states["score"] == ("blocked", "can't be done without ingest")
    assert run.view.said == ["ingest failed: no such folder"]


def test_an_error_outside_a_stage_is_a_warning(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.progress.status({"student/kd/seed-0: tracking": {"doing": "no longer sent to the server"}})
    assert run.view.said == ["student/kd/seed-0: tracking: no longer sent to the server"]


def test_problems_of_existing_artifacts_are_warned_of_once(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.progress.findings = lambda made: ["an expert guesses"] if made else []
    run.progress.warn()
    assert run.view.said == []
    run.end("ingest", "train/plain_cnn_8")
    assert [text for text in run.view.said if "guesses" in text] == ["warning: an expert guesses"]


def test_a_stage_reports_its_time_left_once_it_has_a_pace(tmp_path: Path) -> None:
    run = Run(tmp_path)
    teacher = next(entry for entry in run.progress.stages.values() if entry.stage.kind == "train")
    run.progress.status({teacher.stage.name: {"step": 1, "steps": 30, **vars(Timing())}})
    assert (teacher.seconds_left, teacher.seconds_spent) == (None, None)
    run.progress.status({teacher.stage.name: {"step": 10, "steps": 30, **vars(Timing(64.0, 5.0, 8.0))}})
    assert (teacher.seconds_left, teacher.seconds_spent) == (5.0, 3.0)
    run.end(teacher.stage.name)
    assert (teacher.seconds_left, teacher.seconds_spent) == (None, None)
