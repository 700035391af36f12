"""Streams of random numbers: one for each purpose, each a function of seed, purpose and index alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product

import numpy as np
import pytest

from orchestrator.datasets.split import draw_by_class
from orchestrator.randomness import Purpose, generator, torch_seed, uniforms
from orchestrator.training.data import folds
from orchestrator.training.data.batches import BatchPlan

SEEDS, INDICES = (0, 1, 2**63), (0, 1, 2, 3, 1000)


def words(seed: int, purpose: Purpose, index: int, count: int = 256) -> set[int]:
    return set(generator(seed, purpose, index).bit_generator.random_raw(count).tolist())


@pytest.mark.parametrize(("one", "other"), list(combinations(Purpose, 2)), ids=lambda purpose: purpose.name)
def test_two_purposes_share_no_number(one: Purpose, other: Purpose) -> None:
    of_one, of_other = (
        set[int]().union(*(words(seed, purpose, index) for seed, index in product(SEEDS, INDICES)))
        for purpose in (one, other)
    )
    assert len(of_one) == len(of_other) == 256 * len(SEEDS) * len(INDICES)
    assert of_one.isdisjoint(of_other)


@pytest.mark.parametrize(
    ("purpose", "expected"),
    [
        (Purpose.VALIDATION_CUT, [0x7B6CC7B1862CC5F2, 0xB960F2EA4B3F8D9F, 0x0CDD72E015DEB1A6]),
        (Purpose.TEST_SPLIT, [0x355E1E86E4AEDD00, 0x89D466F3E22D8E22, 0x4DB61267C2277C95]),
        (Purpose.SEVERITY, [0x5BF5D9C6FD1F03C7, 0x3BA5D7BD0F561594, 0x3A4C8C6FC860448F]),
        (Purpose.PROTOTYPE, [0xCD26D092FAE79656, 0xEFC5410441CEA18, 0xA56EAF3BCF27E923]),
        (Purpose.SYNTHETIC_IMAGE, [0x9F70021E58B47034, 0x432430299B136FC4, 0x9526B2099FC62FA4]),
    ],
    ids=lambda value: value.name if isinstance(value, Purpose) else "",
)
def test_the_streams_of_data_sets_never_change(purpose: Purpose, expected: list[int]) -> None:
    # Their numbers are in every data set that was cut or generated: a change would call for a new ingest version.
    assert generator(7, purpose, 3).bit_generator.random_raw(3).tolist() == expected


def fold_numbers(seed: int) -> np.ndarray:
    return folds.folds_of(300, 3, seed)


def order_of_pass_3(seed: int) -> np.ndarray:
    return BatchPlan(images=300, batch_size=300, steps=4, seed=seed).at(3).positions % 3


def cut_of_class_3(seed: int) -> np.ndarray:
    labels, candidates = np.full(600, 3), np.arange(600)
    return draw_by_class(labels, candidates, 300, seed, Purpose.VALIDATION_CUT) % 3


@pytest.mark.parametrize(
    ("one", "other"),
    list(combinations((fold_numbers, order_of_pass_3, cut_of_class_3), 2)),
    ids=lambda draw: draw.__name__,
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_draws_of_one_seed_and_index_have_nothing_in_common(
    one: Callable[[int], np.ndarray], other: Callable[[int], np.ndarray], seed: int
) -> None:
    agree = float((one(seed) == other(seed)).mean())
    assert abs(agree - 1 / 3) < 0.12  # of 300 independent draws out of three; four standard deviations


@pytest.mark.parametrize("purpose", list(Purpose), ids=lambda purpose: purpose.name)
def test_seeds_of_torch_differ_by_seed_purpose_and_index(purpose: Purpose) -> None:
    seeds = [torch_seed(seed, purpose, index) for seed, index in product(SEEDS, INDICES)]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**63 for seed in seeds)


def test_uniforms_differ_by_seed_purpose_and_index() -> None:
    items = np.arange(100)
    drawn = [
        uniforms(seed, purpose, index, items, 3)
        for seed, purpose, index in product((0, 1, 2), (Purpose.VIEW, Purpose.DROPOUT), (0, 1, 2))
    ]
    assert len(np.unique(np.concatenate(drawn))) == 100 * 3 * len(drawn)
