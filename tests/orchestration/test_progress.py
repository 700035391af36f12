"""What a person sees while a run goes on."""

from __future__ import annotations

import io
from typing import Any

import pytest

from orchestrator import progress
from orchestrator.progress import Lines, describe


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"doing": "reading images"}, "reading images"),
        ({"step": 1500, "steps": 20000}, "step 1,500 of 20,000"),
        ({"step": 3, "steps": 9, "unit": "images"}, "images 3 of 9"),
        (
            {"step": 3, "steps": 9, "accuracy": 0.5, "images_per_second": 1234.6},
            "step 3 of 9, validation 50.0%, 1,235 images/s",
        ),
        (
            {"step": 2, "steps": 4, "unit": "trials", "accuracy": 0.25, "best": {"a": 0.5, "mode": "both"}},
            "trials 2 of 4, best 25.0%, with a=0.5, mode=both",
        ),
        ({"step": 0, "steps": 9, "accuracy": 0.0}, "step 0 of 9, validation 0.0%"),
    ],
)
def test_a_status_is_said_in_words(status: dict[str, Any], words: str) -> None:
    assert describe(status) == words


def test_each_event_is_a_line_with_the_time_since_the_start() -> None:
    out = io.StringIO()
    Lines(stream=out).say("teacher trained")
    assert out.getvalue() == "[  0:00] teacher trained\n"


def test_quiet_leaves_only_what_went_wrong() -> None:
    out = io.StringIO()
    lines = Lines(quiet=True, stream=out)
    lines.say("going on")
    lines.warn("a file is damaged")
    assert out.getvalue().splitlines() == ["[  0:00] a file is damaged"]


def test_a_stage_s_status_is_shown_now_and_then_and_only_when_it_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    out = io.StringIO()
    lines = Lines(stream=out)
    for now, step in ((1.0, 1), (6.0, 2), (8.0, 3), (12.0, 3), (18.0, 3)):
        clock[0] = now
        lines.status({"train/x": {"step": step, "steps": 9}})
    assert out.getvalue().splitlines() == ["[  0:06] train/x: step 2 of 9", "[  0:12] train/x: step 3 of 9"]
