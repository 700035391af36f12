"""Ctrl-C and SIGTERM: raised at once, raised again where lost, and deferred for a short while."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from orchestrator.interruption import INTERRUPTED, Interruption
from tests.examples import ROOT

STOPS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_raises_at_once(stop: signal.Signals) -> None:
    with Interruption(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(stop)


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_that_a_callback_swallowed_is_raised_again_by_the_next_check(stop: signal.Signals) -> None:
    with Interruption() as interruption:
        interruption.check()
        with suppress(KeyboardInterrupt):
            signal.raise_signal(stop)
        with pytest.raises(KeyboardInterrupt):
            interruption.check()


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_is_deferred_until_a_held_block_ends(stop: signal.Signals) -> None:
    ended = False
    with Interruption() as interruption, pytest.raises(KeyboardInterrupt), interruption.held():
        signal.raise_signal(stop)
        ended = True
    assert ended


def test_a_second_stop_does_not_wait() -> None:
    ended = False
    with Interruption() as interruption, pytest.raises(KeyboardInterrupt), interruption.held():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        ended = True
    assert not ended


def test_an_error_in_a_held_block_is_raised() -> None:
    with Interruption() as interruption, pytest.raises(ValueError, match="no cluster"), interruption.held():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("no cluster")


@pytest.mark.parametrize("stop", STOPS)
def test_handlers_that_were_set_meanwhile_are_replaced(stop: signal.Signals) -> None:
    with Interruption() as interruption:
        with interruption.held():
            signal.signal(stop, signal.SIG_IGN)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(stop)


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(stop) for stop in STOPS]
    with Interruption():
        assert [signal.getsignal(stop) for stop in STOPS] != before
    assert [signal.getsignal(stop) for stop in STOPS] == before


BLOCKED = """
import ctypes, signal, sys
from orchestrator import interruption
interruption.REACTION_SECONDS = interruption.CLEAN_UP_SECONDS = 0.3
with interruption.Interruption("finished stages are cached"):
    mutex = ctypes.create_string_buffer(128)
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
    try:
        print("ready", flush=True)
        if sys.argv[1] == "blocked":
            ctypes.CDLL(None).pthread_mutex_lock(mutex)  # no signal ends this
        signal.pause()
    finally:
        ctypes.CDLL(None).pthread_mutex_lock(mutex)  # as the closing of a connection may wait
"""


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("where", ["blocked", "cleaning up"])
def test_a_stop_ends_a_program_that_waits_outside_python(stop: signal.Signals, where: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BLOCKED, where], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(stop)
        _, said = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED and "finished stages are cached" in said and "Traceback" not in said
