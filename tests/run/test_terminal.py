"""What a person at a terminal sees: the live view, and Ctrl-C at any moment."""

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
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import pytest

from tests.run.conftest import Finished, Place, copy_of, environment, weights_of

Run = tuple[Place, Finished]
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
WAIT_SECONDS = 240


class Terminal:
    """A run in a terminal of its own; ``shown`` is all that it has drawn so far."""

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

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while words not in SEQUENCE.sub("", self.shown):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                pytest.fail(f"'{words}' never came:\n{self.shown[-3000:]}")
            time.sleep(0.02)

    def end(self) -> int:
        code = self.process.wait(WAIT_SECONDS)
        self.reader.join(10)
        return code


def test_on_a_terminal_the_stages_are_one_view_that_is_drawn_in_place_and_fits(
    undisturbed: Run, make_place: Callable[[], Place]
) -> None:
    place = copy_of(undisturbed[0], make_place)
    terminal = Terminal(place, "search.trials=5", columns=80)
    assert terminal.end() == 0, terminal.shown[-3000:]
    drawn = SEQUENCE.sub("", terminal.shown)
    frames = drawn.split("stages done")
    assert len(frames) > 3, "drawn once only"
    lines = [line.strip("\r") for line in frames[-1].split("| method")[0].splitlines()]
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("✔ train/plain_cnn_8") and "kept from before" in line for line in lines)
    assert any(line.startswith("✔ search") and "best validation" in line for line in lines)
    assert any(line.startswith("✔ final students") and "8 of 8 done" in line for line in lines)
    assert "step " in drawn or "trials " in drawn


def test_ctrl_c_says_what_is_kept_ends_with_130_and_the_same_command_goes_on(
    undisturbed: Run, make_place: Callable[[], Place]
) -> None:
    place = make_place()
    place.recipe()
    for moment in ("starting Ray", "▶ train/plain_cnn_6", "▶ search"):
        terminal = Terminal(place)
        terminal.wait_for(moment)
        os.kill(terminal.process.pid, signal.SIGINT)
        assert terminal.end() == 130, terminal.shown[-3000:]
        said = SEQUENCE.sub("", terminal.shown)
        assert "what is finished is kept, and the same command goes on:" in said and "Traceback" not in said
        assert f"python -m orchestrator.run {place.folder}" in said.replace("\r\n", "")
    finished = place.run()
    assert finished.code == 0, finished.err[-3000:]
    assert weights_of(place) == weights_of(undisturbed[0])
