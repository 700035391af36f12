"""Latency: every side has its turn in every round, on one thread."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
import torch

from orchestrator.export import latency

pytestmark = pytest.mark.long


def test_every_side_has_its_turn_in_every_round_and_the_order_changes() -> None:
    calls: list[str] = []
    timing = latency.measure({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")})
    assert timing.rounds == latency.ROUNDS
    turns = ["".join(calls[start : start + 4]) for start in range(0, len(calls), 4)]
    assert len(turns) == latency.WARM_UP + latency.ROUNDS
    assert {one + other for one, other in pairwise(turns)} == {"aabbbbaa", "bbaaaabb"}


def test_medians_and_ratio_are_those_of_the_rounds() -> None:
    timing = latency.measure({"quick": lambda: time.sleep(0.001), "slow": lambda: time.sleep(0.004)})
    assert 1 <= timing.latency("quick").low <= timing.latency("quick").median <= timing.latency("quick").high
    assert timing.latency("slow").median >= 4
    assert timing.ratio("slow", "quick") == pytest.approx(1 / timing.ratio("quick", "slow"), rel=0.2)
    assert timing.ratio("slow", "quick") > 1


def test_a_ratio_is_taken_within_each_round() -> None:
    timing = latency.Timing({"a": np.array([1.0, 10.0, 100.0]), "b": np.array([2.0, 20.0, 200.0])}, 3)
    assert timing.ratio("a", "b") == 0.5


def test_slow_sides_end_after_enough_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "MOST_SECONDS", 0.2)
    monkeypatch.setattr(latency, "ROUNDS", 10_000)
    assert latency.LEAST_ROUNDS <= latency.measure({"a": lambda: time.sleep(0.001)}).rounds < 10_000


def test_torch_has_one_thread_meanwhile_and_its_own_number_afterwards() -> None:
    before, seen = torch.get_num_threads(), set()
    latency.measure({"a": lambda: seen.add(torch.get_num_threads())})
    assert seen == {1}
    assert torch.get_num_threads() == before
