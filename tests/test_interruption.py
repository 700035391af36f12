"""Ctrl-C, SIGTERM and SIGHUP: raised at once, raised again where lost, and deferred for a short while."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.interruption import INTERRUPTED, Interruption
from tests.examples import ROOT

STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


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
import ctypes, os, resource, signal, sys
from orchestrator import interruption
if sys.argv[1] == "beside many open files":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    files = [open(os.devnull) for _ in range(1100)]
interruption.REACTION_SECONDS = interruption.CLEAN_UP_SECONDS = 0.3
with interruption.Interruption("finished stages are cached"):
    mutex = ctypes.create_string_buffer(128)
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
    try:
        print("ready", flush=True)
        if sys.argv[1] != "cleaning up":
            ctypes.CDLL(None).pthread_mutex_lock(mutex)  # no signal ends this
        signal.pause()
    finally:
        ctypes.CDLL(None).pthread_mutex_lock(mutex)  # as the closing of a connection may wait
"""


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("where", ["blocked", "cleaning up", "beside many open files"])
def test_a_stop_ends_a_program_that_waits_outside_python(stop: signal.Signals, where: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BLOCKED, where], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(stop)
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == INTERRUPTED and "finished stages are cached" in said and "Traceback" not in said


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGHUP)
            interruption.check()
    finally:
        signal.signal(signal.SIGHUP, before)


LOST_SESSION = """
import sys, time
from orchestrator.last_resort import run_command
def command(interruption):
    print("ready", flush=True)
    try:
        time.sleep(60)
    finally:
        print("the clean-up prints to a terminal that is gone", flush=True)
        print("done", file=open(sys.argv[1], "w"))
sys.exit(run_command(command, interrupted="the same command continues"))
"""


def test_a_lost_session_ends_the_program_in_good_order(tmp_path: Path) -> None:
    done, errors = tmp_path / "done", tmp_path / "errors"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.dup2(os.open(errors, os.O_CREAT | os.O_WRONLY), 2)
        os.execv(sys.executable, [sys.executable, "-c", LOST_SESSION, str(done)])
    while b"ready" not in os.read(terminal, 1024):
        time.sleep(0.05)
    os.close(terminal)  # as sshd does when its connection is lost
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == INTERRUPTED
    assert done.read_text() == "done\n"
    assert errors.read_text() == "\nthe same command continues\n"


def test_another_thread_may_stop_the_program_with_a_reason_and_an_exit_code() -> None:
    with Interruption("finished stages are cached") as interruption:
        with pytest.raises(KeyboardInterrupt):
            threading.Thread(target=interruption.stop, args=("the head is lost", 1)).start()
            time.sleep(10)
        assert interruption.farewell == "error: the head is lost\nfinished stages are cached"
        assert interruption.code == 1
