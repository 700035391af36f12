"""When a training's observer has a checkpoint written: at validations, between them, and before its node leaves."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.recipe.resources import Resources
from orchestrator.stages.observers import LARGEST_SHARE, LEAST_SECONDS, StageObserver
from tests.tracking.examples import job

ROW = {"step": 4.0, "validation_accuracy": 0.5}
STATE = b"state"


class Clock:
    """Time that passes by itself in no test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def observer(folder: Path, seconds: float) -> StageObserver:
    resources = Resources(checkpoint_seconds=seconds)
    return StageObserver(job(folder, resources=resources), None)


def written(folder: Path) -> list[Path]:
    return list(folder.glob("checkpoints/*/*"))


def test_a_validation_writes_one_if_the_last_is_old_enough(tmp_path: Path, clock: Clock) -> None:
    watching = observer(tmp_path, 15)
    clock.now += 14
    assert not watching.evaluated(ROW, lambda: STATE)
    clock.now += 2
    assert watching.evaluated(ROW, lambda: STATE)
    assert watching.load() == STATE
    assert not watching.evaluated(ROW, lambda: STATE)


def test_so_do_steps_between_validations(tmp_path: Path, clock: Clock) -> None:
    watching = observer(tmp_path, 15)
    clock.now += 14
    assert not watching.checkpoint_is_due()
    clock.now += 2
    assert watching.checkpoint_is_due()
    watching.checkpoint(lambda: STATE)
    assert watching.load() == STATE
    assert not watching.checkpoint_is_due()


def test_one_at_every_validation_is_not_one_at_every_step(tmp_path: Path, clock: Clock) -> None:
    watching = observer(tmp_path, 0)
    for _ in range(2):
        assert watching.evaluated(ROW, lambda: STATE)
        assert not watching.checkpoint_is_due()
    clock.now += LEAST_SECONDS
    assert watching.checkpoint_is_due()


def test_large_ones_between_validations_take_a_small_share_of_the_time(tmp_path: Path, clock: Clock) -> None:
    watching, took = observer(tmp_path, 15), 3.0

    def large() -> bytes:
        clock.now += took
        return STATE

    watching.checkpoint(large)
    clock.now += took / LARGEST_SHARE - 1
    assert not watching.checkpoint_is_due()
    clock.now += 2
    assert watching.checkpoint_is_due()


def test_a_node_that_leaves_is_waited_for_by_no_validation(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching: Any = observer(tmp_path, 300)
    clock.now += LEAST_SECONDS
    assert not watching.checkpoint_is_due()
    monkeypatch.setattr(watching, "_node_leaves", lambda now: True)
    assert watching.checkpoint_is_due()
    watching.checkpoint(lambda: STATE)
    assert not watching.checkpoint_is_due()
    assert watching.evaluated(ROW, lambda: STATE)
