"""Statuses of stages in words."""

from __future__ import annotations

import pytest

from orchestrator.progress.words import describe, duration
from orchestrator.stages.status import Status


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
            {"step": 2, "steps": 4, "unit": "trials", "accuracy": 0.25, "best": {"a": 0.51234, "mode": "both"}},
            "trials 2 of 4, best 25.0%, with a 0.512, mode both",
        ),
        ({"step": 0, "steps": 9, "accuracy": 0.0}, "step 0 of 9, validation 0.0%"),
    ],
)
def test_a_status_is_described_in_words(status: Status, words: str) -> None:
    assert describe(status) == words


def test_the_time_left_is_right_after_the_step() -> None:
    assert describe({"step": 3, "steps": 9, "accuracy": 0.5}, 61.4) == "step 3 of 9, 1:01 left, validation 50.0%"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0:00"), (59.6, "1:00"), (754, "12:34"), (3_599.9, "1:00:00"), (11_045, "3:04:05"), (187_500, "2 d 04:05")],
)
def test_a_duration_is_as_short_as_it_can_be_read(seconds: float, words: str) -> None:
    assert duration(seconds) == words
