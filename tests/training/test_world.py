"""Several workers that train one network: their parts, and two workers against one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.training.loop import Trained
from orchestrator.training.world import World
from tests.training.examples import CPU, Keeper, assert_same_training, without_times
from tests.training.workers import CASES, SNAPSHOTS, learn_case, read


@given(items=st.lists(st.integers(0, 1000)), size=st.integers(1, 9))
def test_parts_are_disjoint_cover_everything_and_differ_by_one_at_most(items: list[int], size: int) -> None:
    parts = [World(rank, size).part(np.array(items, np.int64)) for rank in range(size)]
    assert np.concatenate(parts).tolist() == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_one_worker_alone_needs_no_process_group() -> None:
    world, values, network = World(), torch.arange(3), torch.nn.BatchNorm1d(3)
    world.sum_(values)
    world.max_(values)
    world.share_buffers(network)
    assert values.tolist() == [0, 1, 2]
    assert world.wrap(network) is network
    assert world.main()
    assert world.any(True, CPU) and not world.any(False, CPU)


@pytest.fixture(scope="module")
def pair(by_workers: Path) -> Path:
    """Results of two workers that trained every case together, once undisturbed and once killed and resumed."""
    return by_workers / "2"


def two(folder: Path, case: str) -> tuple[Trained, Trained]:
    return read(folder, case, 0), read(folder, case, 1)


def test_a_condition_of_one_worker_is_known_to_all(pair: Path) -> None:
    for rank in range(2):
        assert json.loads((pair / f"any-{rank}.json").read_text()) == {"of one": True, "of none": False}


@pytest.mark.parametrize("case", CASES)
def test_both_workers_end_in_the_same_training(pair: Path, case: str) -> None:
    one, other = two(pair, case)
    assert_same_training(one, other)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("how", ["resumed", "resumed between"])
def test_two_workers_that_were_killed_and_resumed_end_in_the_same_training(pair: Path, case: str, how: str) -> None:
    for undisturbed, resumed in zip(two(pair, case), two(pair, f"{case}, {how}"), strict=True):
        assert_same_training(resumed, undisturbed)


@pytest.mark.parametrize("case", CASES)
def test_one_worker_goes_on_where_two_were_killed_between_validations(pair: Path, case: str) -> None:
    checkpoint = (pair / f"{list(CASES).index(case)}.resumed between").read_bytes()
    ((found, _), alone) = two(pair, case), learn_case(case, Keeper(checkpoint))
    for name, weights in alone.weights.items():
        torch.testing.assert_close(found.weights[name], weights, rtol=1e-4, atol=1e-5)
    for row, wanted in zip(without_times(found.history), without_times(alone.history), strict=True):
        assert row == pytest.approx(wanted, rel=1e-4)
    np.testing.assert_array_equal(found.assignment_counts, alone.assignment_counts)
    np.testing.assert_array_equal(found.learned_step, alone.learned_step)


@pytest.mark.parametrize("case", CASES)
def test_two_workers_have_the_snapshots_of_one(pair: Path, case: str) -> None:
    (found, _), alone = two(pair, case), learn_case(case)
    assert sorted(found.snapshots) == list(SNAPSHOTS)
    for step, weights in alone.snapshots.items():
        for name, value in weights.items():
            torch.testing.assert_close(found.snapshots[step][name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_two_workers_end_where_one_does(pair: Path, case: str) -> None:
    (found, _), alone = two(pair, case), learn_case(case)
    for name, weights in alone.weights.items():
        torch.testing.assert_close(found.weights[name], weights, rtol=1e-4, atol=1e-5)
    for row, wanted in zip(without_times(found.history), without_times(alone.history), strict=True):
        assert row == pytest.approx(wanted, rel=1e-4)
    np.testing.assert_array_equal(found.assignment_counts, alone.assignment_counts)
    np.testing.assert_array_equal(found.learned_step, alone.learned_step)
