"""Ctrl-C and a polite termination: raised at once, remembered where that is lost, and held back for a short while."""

from __future__ import annotations

import signal
from contextlib import suppress

import pytest

from orchestrator.interruption import Interruption

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
def test_a_stop_waits_for_what_must_not_be_left_half_done(stop: signal.Signals) -> None:
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


def test_an_error_in_what_was_held_is_what_is_raised() -> None:
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
