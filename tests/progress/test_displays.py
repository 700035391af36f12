"""Plain lines, and the table at several sizes of terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.artifacts.trials import Point
from orchestrator.pipeline.graph import Failure
from orchestrator.progress import display_for
from orchestrator.progress import lines as plain
from orchestrator.progress.lines import Lines
from orchestrator.progress.live import Live
from tests.progress.runs import Run

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(run: Run, width: int = 80, height: int = 40) -> list[str]:
    """The table as text."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=False)
    console.print(Live(out, console).render(run.state, run.forecast))
    return out.getvalue().splitlines()


def test_each_event_is_a_line_with_the_time_since_the_start() -> None:
    out = io.StringIO()
    Lines(False, out).event("teacher trained")
    assert out.getvalue() == "[  0:00] teacher trained\n"


def test_quiet_prints_only_warnings_and_errors() -> None:
    out = io.StringIO()
    display = Lines(True, out)
    display.say("going on")
    display.event("done")
    display.warn("a file is damaged")
    assert out.getvalue().splitlines() == ["[  0:00] a file is damaged"]


def test_a_stage_s_status_is_a_line_now_and_then_and_only_when_it_has_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = [0.0]
    monkeypatch.setattr(plain.time, "monotonic", lambda: clock[0])
    run, out = Run(tmp_path), io.StringIO()
    display = Lines(False, out)
    for now, step in ((1.0, 1), (6.0, 2), (8.0, 3), (12.0, 3), (18.0, 3)):
        clock[0] = now
        run.post({"ingest": {"step": step, "steps": 9}})
        display.refresh(run.state, run.forecast)
    assert out.getvalue().splitlines() == ["[  0:06] ingest: step 2 of 9", "[  0:12] ingest: step 3 of 9"]


def test_lines_of_a_long_run_come_further_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = [0.0]
    monkeypatch.setattr(plain.time, "monotonic", lambda: clock[0])
    run, out = Run(tmp_path), io.StringIO()
    display = Lines(False, out)
    for second in range(0, 24 * 3600, 5):
        clock[0] = float(second)
        run.post({"ingest": {"step": second, "steps": 10**6}})
        display.refresh(run.state, run.forecast)
    assert 200 < len(out.getvalue().splitlines()) < 600


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_table_fits_the_terminal_and_shows_what_runs_and_what_waits_for_what(tmp_path: Path, width: int) -> None:
    run = Run(tmp_path)
    run.end("ingest")
    teacher, ta = [stage.name for stage in run.plan.stages if stage.name.startswith("train/")][:2]
    run.post(
        {teacher: {"step": 5, "steps": 30, "accuracy": 0.5, "seconds_left": 61.0, "whole_seconds": 73.0, "node": "a"}}
    )
    seen = drawn(run, width)
    assert max(map(len, seen)) <= width
    row = {line.split()[1]: line for line in seen if len(line.split()) > 1}
    assert row["ingest"].startswith("✔") and "320 train" in row["ingest"]
    assert row[teacher].startswith("▶") and "step 5 of 30, 1:01 left" in row[teacher]
    scored = teacher.replace("train/", "score/")
    assert row[ta].startswith("·") and f"waits for {scored}"[: width - 30] in row[ta]
    assert any(line.startswith("1 of ") for line in seen)


def test_students_are_one_line_and_those_at_work_or_failed_one_each(tmp_path: Path) -> None:
    run = Run(tmp_path, "methods=[labels]", "seeds=[0,1,2,3]")
    run.end_all_but(*(f"{kind}/labels/seed-{seed}" for kind in ("student", "evaluate") for seed in (1, 2, 3)))
    run.post({"student/labels/seed-1": {"doing": "opening its inputs"}})
    run.fail(Failure("student/labels/seed-2", error="the loss was no longer finite"))
    run.fail(Failure("evaluate/labels/seed-2", blocked_by="student/labels/seed-2"))
    text = "\n".join(drawn(run, 100))
    assert "final students" in text and "1 of 4 done, 1 can't be done" in text
    assert re.search(r"▶ +labels/seed-1 +opening its inputs", text)
    assert re.search(r"✘ +labels/seed-2 +the loss was no longer finite", text)
    assert "labels/seed-3" not in text


def test_the_node_is_named_where_there_are_several(tmp_path: Path) -> None:
    run = Run(tmp_path)
    first, second = [stage.name for stage in run.plan.stages][:2]
    run.post({first: {"doing": "reading", "node": "one"}})
    assert "on one" not in "\n".join(drawn(run))
    run.post({second: {"doing": "training", "node": "two"}})
    assert "reading on one" in "\n".join(drawn(run))


def test_a_low_window_shows_running_stages_and_folds_the_rest(tmp_path: Path) -> None:
    run = Run(tmp_path)
    teacher = next(stage.name for stage in run.plan.stages if stage.kind == "train")
    run.end("ingest")
    run.post({teacher: {"doing": "training"}})
    seen = drawn(run, height=12)
    assert len(seen) <= 12
    assert any(teacher in line for line in seen) and any("stages" in line and "waiting" in line for line in seen)


def test_the_best_trial_so_far_is_shown_with_its_settings(tmp_path: Path) -> None:
    run = Run(tmp_path)
    best: Point = {"family": "log", "a": 0.25}
    run.post({"search": {"step": 2, "steps": 8, "unit": "trials", "accuracy": 0.75, "best": best}})
    assert "best trial so far: validation 75.0% with family log, a 0.25" in "\n".join(drawn(run))


def test_a_terminal_gets_the_table_and_everything_else_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    assert isinstance(display_for(Terminal()), Live)
    assert isinstance(display_for(io.StringIO()), Lines)
    assert isinstance(display_for(Terminal(), quiet=True), Lines)
    assert isinstance(display_for(Terminal(), verbose=True), Lines)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display_for(Terminal()), Lines)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", "true")
    assert isinstance(display_for(Terminal()), Lines)


def test_plain_lines_hold_no_control_characters(tmp_path: Path) -> None:
    run, out = Run(tmp_path), io.StringIO()
    run.events.display = Lines(False, out)
    run.end_all_but()
    run.events.refresh()
    assert len(out.getvalue().splitlines()) == len(run.plan.stages) and not CONTROL.search(out.getvalue())
