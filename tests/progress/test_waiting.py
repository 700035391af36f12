"""Stages that wait for room, and runs in which nothing moves: both say so."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from orchestrator.execution.capacity import Capacity, Node
from orchestrator.progress.forecast import STILL_SECONDS
from orchestrator.progress.lines import Lines
from orchestrator.progress.words import wait_for_room
from tests.progress.runs import Run
from tests.progress.test_displays import drawn

TEACHER = "train/plain_cnn_8"


def waiting(folder: Path, free: dict[str, float], *overrides: str) -> Run:
    """A run whose teacher was handed to Ray 40 seconds ago and has not begun."""
    run = Run(folder, *overrides)
    run.end("ingest")
    run.state.set_capacity(Capacity([Node({"CPU": 4.0, "GPU": 1.0}, free, "w1")]))
    entry = run.state.stages[TEACHER]
    run.state.submitted(entry.stage)
    entry.submitted = time.time() - 40.0
    return run


@pytest.mark.parametrize(
    ("overrides", "free", "words"),
    [
        (["resources.workers=2"], {"CPU": 1.0}, "waits for 2 workers of 1 CPU; the cluster has room for 1; since 0:40"),
        (["resources.gpus=1"], {"CPU": 4.0}, "waits for 1 worker of 1 GPU; the cluster has room for 0; since 0:40"),
        (
            ["resources.gpus=1", "resources.cpus=4"],
            {"CPU": 3.0, "GPU": 1.0},
            "waits for 1 worker of 4 CPUs, 1 GPU; the cluster has room for 0; since 0:40",
        ),
        (["resources.workers=2"], {"CPU": 3.0}, "2 workers of 1 CPU start, since 0:40"),
        (
            ["resources.workers=[2, 4]"],
            {"CPU": 1.0},
            "waits for 2 to 4 workers of 1 CPU; the cluster has room for 1; since 0:40",
        ),
        (["resources.workers=[2, 4]"], {"CPU": 3.0}, "2 to 4 workers of 1 CPU start, since 0:40"),
    ],
)
def test_a_stage_says_what_it_waits_for_what_there_is_and_since_when(
    tmp_path: Path, overrides: list[str], free: dict[str, float], words: str
) -> None:
    run = waiting(tmp_path, free, *overrides)
    assert wait_for_room(run.state, run.state.stages[TEACHER]) == words
    assert any(words in line for line in drawn(run, width=200))


def test_a_search_whose_trials_have_no_room_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path, "search.round_size=3")
    run.end_all_but("search", "student/ces_kd/seed-0")
    run.state.set_capacity(Capacity([Node({"CPU": 4.0}, {"CPU": 2.0})]))
    run.state.submitted(run.state.stages["search"].stage)
    run.post({"search": {"doing": "trials wait for room", "waits_for_room": True}})
    assert any("waits for 3 workers of 1 CPU; the cluster has room for 2" in line for line in drawn(run, width=200))
    run.post({"search": {"step": 0, "steps": 4, "unit": "trials"}})
    assert any("trials 0 of 4" in line for line in drawn(run, width=200))


def test_plain_lines_say_it_after_a_while_and_then_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = waiting(tmp_path, {"CPU": 1.0}, "resources.workers=2"), io.StringIO()
    lines, now = Lines(False, out), time.monotonic()
    for seconds in range(0, 60, 1):
        monkeypatch.setattr("orchestrator.progress.lines.time.monotonic", lambda at=now + seconds: at)
        lines.refresh(run.state, run.forecast)
    assert 1 <= out.getvalue().count("waits for 2 workers of 1 CPU") <= 4


def test_a_forecast_is_not_shown_while_nothing_moves(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.end("ingest", TEACHER)
    assert "left" in run.overall()
    run.state.moved = time.time() - STILL_SECONDS - 40.0
    assert run.overall().endswith("stages done, nothing has moved for 1:10")
    run.post({"train/plain_cnn_6": {"step": 1, "steps": 30}})
    assert "left" in run.overall()
