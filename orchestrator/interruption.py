"""Ctrl-C, and a polite termination, that no callback can swallow."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class Interruption:
    """Raises KeyboardInterrupt when the user stops the run, and remembers that it did.

    What a signal's handler raises is lost where it strikes in a callback of Ray's, or while a module is imported that
    catches everything. So whoever waits also calls ``check``. Made and entered on the main thread.
    """

    def __init__(self) -> None:
        self._asked = False
        self._held = False

    def __enter__(self) -> Interruption:
        self._before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise what a handler raised before, if it was lost."""
        if self._asked:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let what must not be left half done end first; whoever asks a second time is not made to wait.

        What is done inside may set handlers of its own, as Ray does when it starts: they are replaced.
        """
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self._listen()
        self.check()

    def _listen(self) -> None:
        for number in self._before:
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        again, self._asked = self._asked, True
        if again or not self._held:
            raise KeyboardInterrupt
