"""Time of a training, split by activity of its process."""

from __future__ import annotations

import time
from typing import Literal

Doing = Literal["data", "compute", "validation", "checkpoint", "report"]


class Clock:
    """Seconds since ``start``, together with those before a resume.

    A GPU's work is queued, so the wait for it counts where a result is first read: at a validation.
    """

    def __init__(self) -> None:
        self.spent: dict[str, float] = dict.fromkeys(Doing.__args__, 0.0)  # type: ignore[attr-defined]
        self.before = 0.0
        self.start()

    def start(self) -> None:
        """Start, or resume, now."""
        self.started = self.marked = time.monotonic()
        self.begin_stretch()

    def begin_stretch(self, seconds: float = 0.0, waiting: float = 0.0) -> None:
        """Start a stretch of steps, or continue one that had this ``stretch``; it ends at the next validation."""
        self.stretch_from = time.monotonic() - seconds
        self.data_before = self.spent["data"] - waiting * seconds

    def stretch(self) -> tuple[float, float]:
        """Returns seconds of the stretch so far, and the share of them that was spent waiting for data."""
        seconds = max(time.monotonic() - self.stretch_from, 1e-9)
        return seconds, (self.spent["data"] - self.data_before) / seconds

    def spend(self, doing: Doing) -> None:
        """Count the time since the last call as spent on this."""
        now = time.monotonic()
        self.spent[doing] += now - self.marked
        self.marked = now

    def seconds(self) -> float:
        """Returns seconds of the training so far."""
        return self.before + time.monotonic() - self.started

    def state(self) -> dict[str, object]:
        """Returns plain values for a checkpoint."""
        return {"seconds": self.seconds(), "spent": self.spent}

    def restore(self, seconds: float, spent: dict[str, float]) -> None:
        """Resume from the values of a checkpoint."""
        self.before, self.spent = seconds, dict(spent)
        self.begin_stretch()
