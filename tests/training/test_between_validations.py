"""Steps at which several workers agree on a checkpoint: seldom, and at the same ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from orchestrator.training.between_validations import MEETING_SECONDS, CheckpointTurns
from orchestrator.training.running_metrics import RunningMetrics
from orchestrator.training.world import World
from tests.training.examples import CPU


class Pair(World):
    """One of two workers, of which the other one hears what the main one says."""

    said: list[list[int]] = []  # noqa: RUF012 (of all instances)

    def first(self, mine: list[int], device: torch.device) -> list[int]:
        if self.main():
            self.said.append(mine)
        return self.said[-1]


def turns_of(seconds_a_step: Callable[[int], float], steps: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Returns the steps at which two workers meet; both find the same, and a checkpoint due at each."""
    Pair.said.clear()
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    main, other = (CheckpointTurns(lambda: True, Pair(rank, 2), CPU, 0) for rank in range(2))
    found = []
    for step in range(1, steps + 1):
        now += seconds_a_step(step)
        meets = main.has_come(step)
        assert other.has_come(step) == meets
        if meets:
            found.append(step)
    return found


@pytest.mark.parametrize("each", [0.001, 0.2, 3.0, 20.0])
def test_workers_meet_about_every_few_seconds(each: float, monkeypatch: pytest.MonkeyPatch) -> None:
    met = turns_of(lambda step: each, 50_000 if each < 1 else 50, monkeypatch)
    gaps = [(later - earlier) * each for earlier, later in pairwise(met)]
    assert max(gaps) <= max(MEETING_SECONDS, each) * 1.01
    assert gaps[-1] >= max(MEETING_SECONDS - each, each) * 0.99
    assert len(met) < 15 + 50_000 * each / MEETING_SECONDS * 1.1


def test_steps_that_become_slower_do_not_put_off_a_meeting_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    met = turns_of(lambda step: 0.001 if step < 1000 else 1.0, 8000, monkeypatch)
    late = [later - earlier for earlier, later in pairwise(met) if earlier > 7000]
    assert max(late) == MEETING_SECONDS


def test_one_worker_alone_is_asked_at_every_step() -> None:
    answers = iter([False, True, False])
    turns = CheckpointTurns(lambda: next(answers), World(), CPU, 0)
    assert [turns.has_come(step) for step in (2, 4, 6)] == [False, True, False]


def test_sums_of_several_workers_are_joined_for_one() -> None:
    states = []
    for rank in range(2):
        sums = RunningMetrics(CPU)
        sums.add(torch.tensor([1.0, 2.0 + rank]), torch.tensor([True, rank == 0]), step=rank)
        states.append(sums.state())
    one = RunningMetrics(CPU)
    one.restore(RunningMetrics.joined(torch.stack(states)))
    read = one.read(World())
    assert (read.images, read.loss, read.accuracy, read.diverged_at) == (4, 7 / 4, 3 / 4, None)
    assert RunningMetrics.diverged_at(torch.stack(states)) is None


def test_a_loss_that_is_not_finite_is_seen_before_a_validation() -> None:
    sums = RunningMetrics(CPU)
    sums.add(torch.tensor([float("nan")]), torch.tensor([False]), step=5)
    assert RunningMetrics.diverged_at(sums.state()[None]) == 5
    again = RunningMetrics(CPU)
    again.restore(sums.state())
    assert again.read(World()).diverged_at == 5
