"""What a person sees while a run goes on: plain lines, one an event, and the state of long stages now and then."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

LINE_SECONDS = 5.0  # a running stage says how far it is this often


class Lines:
    """Prints events as lines; ``quiet`` leaves only what went wrong."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.quiet, self.stream = quiet, stream or sys.stdout
        self.started = time.monotonic()
        self.shown: dict[str, tuple[float, dict[str, Any]]] = {}

    def say(self, text: str) -> None:
        """One event."""
        if not self.quiet:
            self._write(text)

    def warn(self, text: str) -> None:
        """One event that is shown even when quiet."""
        self._write(text)

    def status(self, statuses: dict[str, dict[str, Any]]) -> None:
        """The latest status of each running stage; shown when it has changed and a few seconds have passed."""
        now = time.monotonic()
        for stage, status in statuses.items():
            last, before = self.shown.get(stage, (self.started, {}))
            if status != before and now - last >= LINE_SECONDS:
                self.shown[stage] = (now, status)
                self.say(f"{stage}: {describe(status)}")

    def _write(self, text: str) -> None:
        seconds = int(time.monotonic() - self.started)
        print(f"[{seconds // 60:3d}:{seconds % 60:02d}] {text}", file=self.stream, flush=True)


def describe(status: dict[str, Any]) -> str:
    """A stage's status in words."""
    if "doing" in status:
        return str(status["doing"])
    unit = status.get("unit", "step")
    words = [f"{unit} {status['step']:,} of {status['steps']:,}"]
    if status.get("accuracy") is not None:
        words.append(f"{'best' if unit == 'trials' else 'validation'} {status['accuracy']:.1%}")
    if status.get("images_per_second"):
        words.append(f"{status['images_per_second']:,.0f} images/s")
    if status.get("best"):
        words.append("with " + ", ".join(f"{key}={value}" for key, value in status["best"].items()))
    return ", ".join(words)
