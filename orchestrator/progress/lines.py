"""Plain lines, one an event, and the status of long stages now and then; for pipes, logs and simple terminals."""

from __future__ import annotations

import time
from typing import TextIO

from orchestrator.execution.run_state import RunState
from orchestrator.progress.forecast import Forecast
from orchestrator.progress.words import describe, wait_for_room
from orchestrator.stages.status import Status

LINE_SECONDS, LONGEST_SECONDS = 5.0, 600.0  # a running stage says how far it is this often at first, and at last
WAIT_SECONDS = 10.0  # a stage that has waited for room for so long says so
OVERALL = 4  # times that between two lines on the run as a whole
SHARE = 0.02  # in between, lines are this share of the run's time apart: a week's log can still be read


class Lines:
    """Prints events as lines; ``quiet`` leaves only what went wrong."""

    def __init__(self, quiet: bool, stream: TextIO) -> None:
        self.quiet, self.stream = quiet, stream
        self.started = time.monotonic()
        self.shown: dict[str, tuple[float, Status]] = {}
        self.told = self.started  # when the whole run's progress was shown last

    def say(self, text: str) -> None:
        if not self.quiet:
            self._write(text)

    def event(self, text: str) -> None:
        self.say(text)

    def warn(self, text: str) -> None:
        self._write(text)

    def refresh(self, run: RunState, forecast: Forecast) -> None:
        now = time.monotonic()
        pause = min(max(LINE_SECONDS, SHARE * (now - self.started)), LONGEST_SECONDS)
        for name, entry in run.stages.items():
            last, before = self.shown.get(name, (self.started, Status()))
            if run.waits_for_room(entry):
                if now - last >= pause and time.time() - run.waits_since(entry) >= WAIT_SECONDS:
                    self.shown[name] = (now + (OVERALL - 1) * pause, entry.status)
                    self.say(f"{name}: {wait_for_room(run, entry)}")
            elif entry.state == "running" and entry.status != before and now - last >= pause:
                self.shown[name] = (now, entry.status)
                self.say(f"{name}: {describe(entry.status, entry.seconds_left)}")
        if now - self.told >= OVERALL * pause:
            self.told = now
            self.say(f"-- {forecast.overall(run)} --")

    def close(self) -> None:
        return None

    def _write(self, text: str) -> None:
        seconds = int(time.monotonic() - self.started)
        print(f"[{seconds // 60:3d}:{seconds % 60:02d}] {text}", file=self.stream, flush=True)
