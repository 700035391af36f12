"""Events of a run in words."""

from __future__ import annotations

from pathlib import Path

from orchestrator.pipeline.graph import Failure
from orchestrator.progress.events import Events
from orchestrator.progress.live import waits_for
from orchestrator.progress.words import outcome, snapshot
from tests.progress.runs import Run


def test_a_finished_stage_is_an_event_with_its_time_and_results(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.end("ingest", "train/plain_cnn_8")
    assert run.display.said == [
        "ingest done (2 s, 320 train, 64 validation, 64 test)",
        "train/plain_cnn_8 done (2 s, validation 75.0%)",
    ]


def test_a_failed_stage_is_a_warning_and_those_that_need_it_are_shown_with_its_name(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.fail(Failure("ingest", error="no such folder\nand a traceback"))
    run.fail(Failure("score", blocked_by="ingest"))
    states = {name: (entry.state, outcome(entry)) for name, entry in run.state.stages.items()}
    assert states["ingest"] == ("failed", "no such folder")
    assert states["score"] == ("blocked", "can't be done without ingest")
    assert run.display.said == ["ingest failed: no such folder"]


def test_a_part_of_a_stage_that_goes_wrong_is_a_warning(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.events.noted("student/kd/seed-0: tracking", {"doing": "no longer sent to the server"})
    assert run.display.said == ["student/kd/seed-0: tracking: no longer sent to the server"]


def test_a_finding_is_a_warning_once(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.events.findings = lambda artifacts: ["an expert guesses"] if artifacts else []
    run.events.warn()
    assert run.display.said == []
    run.end("ingest", "train/plain_cnn_8")
    assert [text for text in run.display.said if "guesses" in text] == ["warning: an expert guesses"]


def test_a_finding_that_was_shown_before_the_run_is_not_shown_again(tmp_path: Path) -> None:
    run = Run(tmp_path)
    events = Events(
        run.state, run.display, run.forecast, lambda _: ["other pixels", "an expert guesses"], ["other pixels"]
    )
    events.warn()
    assert run.display.said == ["warning: an expert guesses"]


def test_nothing_waits_for_a_stage_that_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path, kept=["ingest"])
    assert waits_for(run.state, run.state.stages["train/plain_cnn_8"]) == []
    assert waits_for(run.state, run.state.stages["student/kd/seed-0"]) == ["score/plain_cnn_8"]


def test_a_snapshot_holds_every_stage_s_state_in_words(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.end("ingest")
    run.post({"train/plain_cnn_8": {"step": 3, "steps": 9}})
    run.fail(Failure("fold/1-of-2", error="no memory\nand a traceback"))
    said = {name: snapshot(run.state)[entry.stage.identity] for name, entry in run.state.stages.items()}
    assert (said["ingest"].state, said["ingest"].status) == ("done", "320 train, 64 validation, 64 test")
    assert (said["train/plain_cnn_8"].state, said["train/plain_cnn_8"].status) == ("running", "step 3 of 9")
    failed = said["fold/1-of-2"]
    assert (failed.state, failed.status, failed.error) == ("failed", "no memory", "no memory\nand a traceback")
    assert (said["score"].state, said["score"].status) == ("waiting", "")
