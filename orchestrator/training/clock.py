"""The seconds of a training, and what its process did in them."""

from __future__ import annotations

import time
from typing import Literal

Doing = Literal["data", "compute", "validation", "checkpoint", "report"]


class Clock:
    """Counts from ``start``, and goes on counting after a resume.

    On a GPU, whose work is queued, computing is waited for where a result is first asked for: at a validation.
    """

    def __init__(self) -> None:
        self.spent: dict[str, float] = dict.fromkeys(Doing.__args__, 0.0)  # type: ignore[attr-defined]
        self.before = 0.0
        self.start()

    def start(self) -> None:
        """The training begins, or goes on, now."""
        self.started = self.marked = time.monotonic()
        self.begin_stretch()

    def begin_stretch(self) -> None:
        """A stretch of steps begins now; it ends at the next validation."""
        self.stretch_from, self.data_before = time.monotonic(), self.spent["data"]

    def stretch(self) -> tuple[float, float]:
        """Seconds of the stretch so far, and the share of them that was spent waiting for data."""
        seconds = max(time.monotonic() - self.stretch_from, 1e-9)
        return seconds, (self.spent["data"] - self.data_before) / seconds

    def spend(self, doing: Doing) -> None:
        """Count the time since the last call as spent on this."""
        now = time.monotonic()
        self.spent[doing] += now - self.marked
        self.marked = now

    def seconds(self) -> float:
        """Seconds of the training so far."""
        return self.before + time.monotonic() - self.started

    def state(self) -> dict[str, object]:
        """What a checkpoint keeps."""
        return {"seconds": self.seconds(), "spent": self.spent}

    def restore(self, seconds: float, spent: dict[str, float]) -> None:
        """Go on from what a checkpoint kept."""
        self.before, self.spent = seconds, dict(spent)
        self.begin_stretch()
