"""Pace of stepwise work, and the time that is left.

Steps count over the last minute, validations apart over the whole of the work: a second that held a validation, or the
kernels' choice at the first steps, does not represent the rest.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

WINDOW_SECONDS = 60.0  # of steps that count
LEAST_SECONDS = 1.0  # of steps before anything is said


@dataclass(frozen=True)
class Timing:
    """Images a second without validations; seconds that are left, and seconds in all, validations included.

    ``waiting_for_data`` is the share of the time since the last validation, in [0, 1], in which the main worker waited
    for images. All are None while too few steps are over.
    """

    images_per_second: float | None = None
    seconds_left: float | None = None
    whole_seconds: float | None = None
    waiting_for_data: float | None = None


class Pace:
    """Estimate from the steps reached, at points in time of a monotonic clock.

    Args:
        steps: number of steps in all.
        images: images a step.
        interval: steps between validations, with one more at the end; 0 for no validations.
        validation_steps: assumed cost of a validation in steps; it weighs as one validation among those measured.
    """

    def __init__(self, steps: int, images: int = 1, interval: int = 0, validation_steps: float = 0.0) -> None:
        self.steps, self.images = steps, images
        self.interval, self.validation_steps = interval, validation_steps
        self.step = 0
        self.now: float | None = None  # until the first steps are over, which take longer than others
        self.recent: deque[tuple[int, float]] = deque()  # steps and seconds, oldest first
        self.taken, self.seconds = 0, 0.0  # sums over the recent ones
        self.validations, self.validation_seconds = 0, 0.0

    def reached(self, step: int, now: float) -> None:
        """Record a step that was reached since the last call by steps alone."""
        if self.now is not None:
            self._add(step - self.step, now - self.now)
        self.step, self.now = step, now

    def validated(self, now: float) -> None:
        """Record a validation, with its checkpoint and reports, since the last call."""
        if self.now is not None:
            self.validations += 1
            self.validation_seconds += now - self.now
        self.now = now

    def timing(self, waiting_for_data: float | None = None) -> Timing:
        """Returns the pace, and the end that follows from it, with the share of waiting."""
        if self.seconds < LEAST_SECONDS or not self.taken:
            return Timing()
        each = self.seconds / self.taken
        validation = (self.validation_steps * each + self.validation_seconds) / (1 + self.validations)
        whole, past = (step * each + self._validations(step) * validation for step in (self.steps, self.step))
        return Timing(self.images / each, whole - past, whole, waiting_for_data)

    def _validations(self, step: int) -> int:
        """Returns the number of validations up to a step."""
        if not self.interval:
            return 0
        return math.ceil(step / self.interval) if step == self.steps else step // self.interval

    def _add(self, steps: int, seconds: float) -> None:
        if self.recent and self.recent[-1][1] < LEAST_SECONDS:
            before = self.recent.pop()
            self.recent.append((before[0] + steps, before[1] + seconds))
        else:
            self.recent.append((steps, seconds))
        self.taken, self.seconds = self.taken + steps, self.seconds + seconds
        while self.seconds - self.recent[0][1] >= WINDOW_SECONDS:
            oldest = self.recent.popleft()
            self.taken, self.seconds = self.taken - oldest[0], self.seconds - oldest[1]
