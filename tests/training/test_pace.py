"""Pace of a training and its time left, from constructed points in time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from orchestrator.training import loop
from orchestrator.training.pace import WINDOW_SECONDS, Pace, Timing
from orchestrator.training.stepping import Stepper
from tests.training.examples import Keeper, learn, training

FIRST, VALIDATION = 30.0, 8.0  # seconds of the first step, and of a validation


def trained(to: int, pace: Pace, each: float = 0.5) -> Pace:
    """The pace after some steps, the first of them slow, with a validation every 10 steps."""
    now = 0.0
    for step in range(1, to + 1):
        now += FIRST if step == 1 else each
        pace.reached(step, now)
        if step % 10 == 0:
            now += VALIDATION
            pace.validated(now)
    return pace


def test_the_first_steps_and_validations_are_no_part_of_the_pace() -> None:
    assert trained(40, Pace(100, images=32, interval=10)).timing().images_per_second == pytest.approx(64.0)


def test_the_first_steps_have_no_forecast() -> None:
    assert trained(1, Pace(100)).timing() == trained(2, Pace(100)).timing() == Timing()
    assert trained(3, Pace(100)).timing().seconds_left == pytest.approx(97 * 0.5)


def test_the_validations_to_come_are_part_of_what_is_left() -> None:
    pace = trained(40, Pace(105, interval=10, validation_steps=16))  # 16 steps take as long as a validation
    assert pace.timing().seconds_left == pytest.approx(65 * 0.5 + 7 * VALIDATION)  # one more at the end
    assert pace.timing().whole_seconds == pytest.approx(105 * 0.5 + 11 * VALIDATION)
    assert trained(40, Pace(40, interval=10)).timing().seconds_left == 0.0


def test_before_the_first_validation_its_cost_is_assumed_to_be_some_steps() -> None:
    assert trained(9, Pace(100, interval=10, validation_steps=4)).timing().seconds_left == pytest.approx(
        91 * 0.5 + 10 * 4 * 0.5
    )


def test_the_time_left_changes_by_a_validation_s_seconds_only() -> None:
    pace = Pace(100, interval=10, validation_steps=16)
    before, after = trained(9, pace).timing().seconds_left, trained(10, Pace(100, 1, 10, 16)).timing().seconds_left
    assert before is not None and after is not None
    assert before - after == pytest.approx(0.5 + VALIDATION)


def test_waiting_for_the_device_belongs_to_the_steps() -> None:
    pace = Pace(100)
    for step, now in ((1, 0.0), (11, 1.0), (11, 5.0)):  # ten steps are queued in a second and computed in five
        pace.reached(step, now)
    assert pace.timing().seconds_left == pytest.approx(89 * 0.5)


def test_only_the_last_minute_of_steps_counts() -> None:
    pace, now = Pace(10_000), 0.0
    for step in range(1, 400):
        now += 1.0 if step < 200 else 0.25
        pace.reached(step, now)
    assert pace.timing().images_per_second == pytest.approx(210 / 60, rel=0.02)  # ten slow steps and 200 quick ones
    assert pace.seconds <= WINDOW_SECONDS + 1.0


def test_the_training_loop_measures_validations_separately(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, reported = [0.0], []

    class Listener(Keeper):
        def tick(self, step: int, steps: int, timing: Timing) -> None:
            reported.append((step, timing))

    take, evaluate = Stepper._take_step, loop.evaluate

    def step(*given: object) -> None:
        clock[0] += 1.0
        take(*given)  # type: ignore[arg-type]

    def validate(*given: object) -> tuple[float, float]:
        clock[0] += VALIDATION
        return evaluate(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(Stepper, "_take_step", step)
    monkeypatch.setattr(loop, "evaluate", validate)
    learn(training(), Listener())
    timing = dict(reported)[12]
    assert timing.images_per_second == pytest.approx(32.0)  # a step a second, as if nothing had been validated
    assert timing.seconds_left == pytest.approx(2 + VALIDATION, rel=0.3)
    assert reported[-1][0] == 14 and reported[-1][1].seconds_left == 0.0
