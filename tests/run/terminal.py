"""Runs in pseudo-terminals, and Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from contextlib import suppress
from threading import Thread

import pytest

from tests.run.conftest import Place, environment

SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
WAIT_SECONDS = 240


class Terminal:
    """A run in a terminal of its own; ``shown`` is all that it has drawn so far, ``text`` that without colours."""

    def __init__(self, place: Place, *arguments: str, columns: int = 80) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        variables = {name: value for name, value in environment().items() if name != "CI"} | {"TERM": "xterm"}
        self.process = subprocess.Popen(
            place.command(*arguments), cwd=place.folder, env=variables, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.shown = ""
        self.reader = Thread(target=self._read, args=(ours,), daemon=True)
        self.reader.start()

    def _read(self, descriptor: int) -> None:
        with suppress(OSError):  # the other side is closed
            while content := os.read(descriptor, 65536):
                self.shown += content.decode(errors="replace")

    @property
    def text(self) -> str:
        return SEQUENCE.sub("", self.shown)

    def interrupt_at(self, words: str) -> int:
        """Press Ctrl-C when these words are shown; returns the exit code."""
        deadline = time.monotonic() + WAIT_SECONDS
        while words not in self.text:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                pytest.fail(f"'{words}' never came:\n{self.shown[-3000:]}")
            time.sleep(0.02)
        os.kill(self.process.pid, signal.SIGINT)
        return self.end()

    def end(self) -> int:
        """Wait for the end; returns the exit code."""
        code = self.process.wait(WAIT_SECONDS)
        self.reader.join(10)
        return code
