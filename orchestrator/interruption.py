"""Ctrl-C, SIGTERM and SIGHUP: an exception on the main thread, and a watcher thread for code that blocks it."""

from __future__ import annotations

import errno
import os
import selectors
import signal
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any

INTERRUPTED = 130  # the exit code
REACTION_SECONDS = 5.0  # from a stop to the KeyboardInterrupt: code outside Python may keep it from being raised
CLEAN_UP_SECONDS = 20.0  # from a stop to the end of the program, which writes its report in that time
AGAIN_SECONDS = 1.0  # the same from a second stop
SHOW_CURSOR = b"\x1b[?25h"  # a live display hides it


class Interruption:
    """Context manager, entered on the main thread, that raises KeyboardInterrupt when the run is stopped.

    An exception of a signal handler is lost if it is raised inside a callback of Ray, or in an import that catches
    everything. So a loop that waits also calls ``check``.

    Python runs signal handlers between two instructions of the main thread, not while that thread waits in C++ (for a
    cluster or a storage that never answers). So a thread watches too; it prints ``farewell`` on standard error and ends
    the process when the program has not ended in time after a stop. The processes of a local Ray end with it.

    SIGHUP, which a lost session sends, stops the run too, unless it is ignored (``nohup``). A terminal that is gone is
    replaced by ``/dev/null``, so that the clean-up does not fail where it prints.

    Attributes:
        farewell: the message at the end.
        code: the exit code.
    """

    def __init__(self, farewell: str = "interrupted") -> None:
        self.farewell = farewell
        self.code = INTERRUPTED
        self._asked = False
        self._held = False
        self._raised = False
        self.stderr = 2  # a descriptor of the original standard error: Ray's start redirects it
        self._before: dict[int, Any] = {}
        self.before_end: Callable[[], None] = lambda: None  # called by the thread before it ends the process

    def __enter__(self) -> Interruption:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._before = {number: signal.getsignal(number) for number in numbers}
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        with suppress(OSError):  # it may be closed
            self.stderr = os.dup(2)
        self._watcher = threading.Thread(target=self._watch, name="interruption", daemon=True)
        self._watcher.start()
        self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._writer)  # ends the watcher
        self._watcher.join()
        os.close(self._reader)
        if self.stderr != 2:
            os.close(self.stderr)
            self.stderr = 2

    def check(self) -> None:
        """Raise KeyboardInterrupt again after a stop whose exception was lost."""
        if self._asked:
            self._raised = True
            raise KeyboardInterrupt

    def stop(self, reason: str, code: int) -> None:
        """Stop the program from another thread, as a signal does, with an error and an exit code of its own."""
        if not self._asked:
            self.farewell, self.code = f"error: {reason}\n{self.farewell}", code
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Defer a stop until the block ends, for a few seconds at most; a second stop interrupts at once.

        Signal handlers that the block sets, as Ray's start does, are replaced.
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
        if number == signal.SIGHUP:
            self._leave_lost_terminal()
        again, self._asked = self._asked, True
        if again or not self._held:
            self._raised = True
            raise KeyboardInterrupt

    def _leave_lost_terminal(self) -> None:
        """Replace output to a terminal that is gone; every write to it would fail."""
        for descriptor in {0, 1, 2, self.stderr}:
            try:
                termios.tcgetattr(descriptor)
            except termios.error as error:
                if error.args[0] == errno.EIO:
                    nowhere = os.open(os.devnull, os.O_RDWR)
                    os.dup2(nowhere, descriptor)
                    os.close(nowhere)

    def _watch(self) -> None:
        """End the process when it has not ended in time after a stop."""
        stops, first, deadline = 0, 0.0, None
        with selectors.DefaultSelector() as selector:  # select() has no descriptors above 1,023
            selector.register(self._reader, selectors.EVENT_READ)
            while True:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                if selector.select(left):
                    numbers = os.read(self._reader, 64)
                    if not numbers:
                        return
                    now = time.monotonic()
                    for _ in filter(self._before.__contains__, numbers):
                        stops += 1
                        first = first or now
                        deadline = first + REACTION_SECONDS if stops == 1 else now + AGAIN_SECONDS
                elif self._raised and stops == 1 and time.monotonic() < first + CLEAN_UP_SECONDS:
                    deadline = first + CLEAN_UP_SECONDS
                else:
                    self._end()

    def _end(self) -> None:
        with suppress(OSError):
            self.before_end()
            if os.isatty(1):
                os.write(1, SHOW_CURSOR)
            os.write(self.stderr, f"\n{self.farewell}\n".encode())
        os._exit(self.code)
