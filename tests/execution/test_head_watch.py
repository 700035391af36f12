"""Watch on the cluster's head: a head that no longer answers stops the run once, before Ray ends the process."""

from __future__ import annotations

import socket
import time

import pytest

from orchestrator.execution import head_watch, ray_address
from orchestrator.execution.head_watch import HeadWatch

Stop = tuple[str, int]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_watch, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(ray_address, "ANSWER_SECONDS", 0.3)


def watched(address: str, seconds: float) -> list[Stop]:
    """Returns the stops of a watch that lasts for some seconds."""
    stops: list[Stop] = []
    with HeadWatch(address, lambda reason, code: stops.append((reason, code)), patience=0.5):
        time.sleep(seconds)
    return stops


def test_a_head_that_answers_is_left_alone(ray_address: str) -> None:
    assert watched(ray_address, 2.0) == []


def test_a_head_that_is_lost_stops_the_run_once_with_exit_code_1() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        ((reason, code),) = watched(address, 4.0)
    assert code == 1
    assert address in reason and "bring the cluster up again" in reason


@pytest.mark.parametrize(("variable", "seconds"), [(None, 30.0), ("600", 570.0), ("30", 15.0), ("soon", 30.0)])
def test_the_run_ends_before_ray_ends_its_process(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, seconds: float
) -> None:
    monkeypatch.delenv(head_watch.TIMEOUT, raising=False)
    if variable is not None:
        monkeypatch.setenv(head_watch.TIMEOUT, variable)
    assert HeadWatch("127.0.0.1:1", lambda reason, code: None).patience == seconds
