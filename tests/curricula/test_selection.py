"""Strata and every selector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curricula.difficulty import rank
from curricula.selection import CONTROLS, ONLINE, SELECTORS, select, strata
from tests.curricula.examples import CLASSES, EXPERTS, IMAGES, evidence, random_ranks, seeds

BASES = sorted(SELECTORS.keys() - CONTROLS.keys() - set(ONLINE))
TABLE = (1, 2, 1)


def pairs(selection: tuple[np.ndarray, np.ndarray], of: np.ndarray | slice = slice(None)) -> list[tuple[float, int]]:
    ranks, experts = selection
    return sorted(zip(ranks[of].tolist(), experts[of].tolist(), strict=True))


@pytest.mark.parametrize("name", SELECTORS)
class TestEverySelector:
    def test_each_image_has_a_distinct_rank_and_one_expert(self, name: str) -> None:
        ranks = random_ranks(1, IMAGES)
        selection = select(name, ranks, EXPERTS, evidence=evidence(), table=TABLE)
        np.testing.assert_array_equal(np.sort(selection.ranks), np.sort(ranks))
        assert selection.experts.shape == (IMAGES,)
        assert selection.experts.dtype == np.int64
        assert set(selection.experts.tolist()) <= set(range(EXPERTS))

    def test_is_a_function_of_its_arguments(self, name: str) -> None:
        ranks = random_ranks(1, IMAGES)
        first, second = (select(name, ranks, EXPERTS, evidence=evidence(), seed=3, table=TABLE) for _ in range(2))
        np.testing.assert_array_equal(first.ranks, second.ranks)
        np.testing.assert_array_equal(first.experts, second.experts)
        np.testing.assert_array_equal(ranks, random_ranks(1, IMAGES))

    def test_has_one_choice_where_there_is_one_expert(self, name: str) -> None:
        selection = select(name, random_ranks(1, IMAGES), 1, evidence=evidence(experts=1), table=[0])
        assert not selection.experts.any()

    @pytest.mark.parametrize("ranks", [[0.0, 0.0], [0.0, 1.0], [-0.5, 0.0], [0.0, np.nan], [[0.0]]])
    def test_refuses_ranks_that_are_no_strict_order(self, name: str, ranks: Any) -> None:
        with pytest.raises(ValueError, match=r"^ranks: "):
            select(name, ranks, EXPERTS)

    def test_refuses_an_empty_ladder(self, name: str) -> None:
        with pytest.raises(ValueError, match="expert_count: 0"):
            select(name, [0.0, 0.5], 0)


@given(seeds, st.integers(1, 200), st.integers(1, 12))
def test_equal_strata_differ_by_at_most_one_image(seed: int, images: int, expert_count: int) -> None:
    sizes = np.bincount(strata(random_ranks(seed, images), expert_count), minlength=expert_count)
    assert len(sizes) == expert_count
    assert sizes.max() - sizes.min() <= 1


@given(st.integers(1, 300), st.integers(1, 300))
def test_a_stratum_is_the_floor_of_rank_times_experts_without_rounding_errors(images: int, expert_count: int) -> None:
    expected = [k * expert_count // images for k in range(images)]
    assert strata(np.arange(images) / images, expert_count).tolist() == expected


@given(seeds, st.integers(1, 60), st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any))
def test_a_harder_image_never_has_a_smaller_stratum(seed: int, images: int, weights: list[int]) -> None:
    ranks = random_ranks(seed, images)
    fractions = [weight / sum(weights) for weight in weights]
    for found in (strata(ranks, len(weights)), strata(ranks, len(weights), fractions)):
        assert (np.diff(found[np.argsort(ranks)]) >= 0).all()


@given(seeds, st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(any))
def test_strata_have_the_given_fractions(seed: int, sizes: list[int]) -> None:
    images = sum(sizes)
    found = strata(random_ranks(seed, images), len(sizes), [size / images for size in sizes])
    assert np.bincount(found, minlength=len(sizes)).tolist() == sizes


@given(seeds, st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
def test_balanced_ranks_distribute_each_class_equally_over_the_strata(
    seed: int, expert_count: int, classes: int, per_stratum: int
) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(classes), per_stratum * expert_count))
    found = strata(rank(generator.random(len(labels)), labels), expert_count)
    for label in range(classes):
        assert (np.bincount(found[labels == label], minlength=expert_count) == per_stratum).all()


@given(seeds, st.integers(1, 6), st.integers(1, 6), st.integers(1, 40))
def test_balanced_ranks_leave_classes_that_do_not_divide_within_two_images(
    seed: int, expert_count: int, classes: int, per_class: int
) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(classes), per_class))
    found = strata(rank(generator.random(len(labels)), labels), expert_count)
    for label in range(classes):
        sizes = np.bincount(found[labels == label], minlength=expert_count)
        assert (abs(sizes - per_class / expert_count) < 2).all()


@pytest.mark.parametrize("fractions", [[0.5, 0.5], [0.5, 0.6, -0.1], [0.5, 0.3, 0.3], [0.5, 0.5, None]])
def test_fractions_that_are_no_shares_are_refused(fractions: list[float]) -> None:
    with pytest.raises(ValueError, match=r"^fractions: "):
        select("stratified", random_ranks(0, 9), 3, fractions=fractions)


@given(seeds, st.floats(0, 1))
def test_competent_picks_the_smallest_expert_that_is_right_and_sure(seed: int, confidence: float) -> None:
    known = evidence(seed)
    selection = select("competent", random_ranks(seed, IMAGES), EXPERTS, evidence=known, confidence=confidence)
    for i, picked in enumerate(selection.experts):
        fits = []
        for expert in range(EXPERTS):
            exponentials = np.exp(known.logits[expert][i])
            probability = exponentials / exponentials.sum()
            sure = probability[known.labels[i]] >= confidence
            fits.append(bool(sure and probability.argmax() == known.labels[i]))
        assert picked == (fits.index(True) if any(fits) else EXPERTS - 1)


def test_competent_without_evidence_is_refused() -> None:
    with pytest.raises(ValueError, match="'competent': evidence is missing"):
        select("competent", random_ranks(0, 9), 3)


def test_competent_refuses_evidence_of_another_ladder() -> None:
    with pytest.raises(ValueError, match=r"evidence: 2 experts and 40 images.*3 experts and 40 images"):
        select("competent", random_ranks(0, IMAGES), 3, evidence=evidence(experts=2))


@pytest.mark.parametrize("confidence", [-0.1, 1.1, "0.5"])
def test_competent_refuses_a_confidence_that_is_no_probability(confidence: Any) -> None:
    with pytest.raises(ValueError, match=r"^confidence: "):
        select("competent", random_ranks(0, IMAGES), EXPERTS, evidence=evidence(), confidence=confidence)


@given(seeds, st.integers(1, 60), st.integers(1, 5))
def test_the_identity_as_a_table_is_stratified(seed: int, images: int, expert_count: int) -> None:
    ranks = random_ranks(seed, images)
    by_table = select("table", ranks, expert_count, table=range(expert_count))
    assert pairs(by_table) == pairs(select("stratified", ranks, expert_count))


def test_a_table_names_the_expert_of_each_stratum() -> None:
    assert select("table", [0.0, 0.75, 0.25, 0.5], 2, table=[1, 0]).experts.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("table", [None, [], [0, 1], [0, 1, 3], [0, -1, 2], [0, 1, 0.5]])
def test_a_table_that_does_not_name_an_expert_for_each_stratum_is_refused(table: Any) -> None:
    with pytest.raises(ValueError, match="table"):
        select("table", random_ranks(0, 9), 3, table=table)


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("base", BASES)
class TestEveryControl:
    @given(seed=seeds)
    def test_deals_the_pairs_of_its_base(self, name: str, base: str, seed: int) -> None:
        ranks, known = random_ranks(seed, IMAGES), evidence(seed)
        of_base = select(base, ranks, EXPERTS, evidence=known, table=TABLE)
        assert pairs(select(name, ranks, EXPERTS, evidence=known, base=base, seed=seed, table=TABLE)) == pairs(of_base)

    @given(seed=seeds)
    def test_deals_within_each_class_where_labels_are_given(self, name: str, base: str, seed: int) -> None:
        known = evidence(seed)
        ranks = rank(np.random.default_rng(seed).random(IMAGES), known.labels)
        of_base = select(base, ranks, EXPERTS, evidence=known, table=TABLE)
        control = select(name, ranks, EXPERTS, evidence=known, base=base, seed=seed, labels=known.labels, table=TABLE)
        for label in range(CLASSES):
            assert pairs(control, known.labels == label) == pairs(of_base, known.labels == label)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_refuses_a_control_or_an_unknown_name_as_its_base(name: str) -> None:
    with pytest.raises(ValueError, match="base: 'reversed' is itself a control"):
        select(name, random_ranks(0, 9), 3, base="reversed")
    with pytest.raises(ValueError, match=r"base: 'stratifed' is unknown. Did you mean 'stratified'"):
        select(name, random_ranks(0, 9), 3, base="stratifed")


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize("base", ONLINE)
def test_a_control_refuses_a_base_that_chooses_during_training(base: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"base: '{base}' chooses experts during training"):
        select(name, random_ranks(0, 9), 3, base=base)


def test_reversed_turns_the_order_round() -> None:
    selection = select("reversed", [0.0, 0.75, 0.25, 0.5], 2)
    assert selection.ranks.tolist() == [0.75, 0.0, 0.5, 0.25]
    assert selection.experts.tolist() == [1, 0, 1, 0]


def test_random_depends_on_its_seed_alone() -> None:
    ranks = random_ranks(0, IMAGES)
    dealt = [select("random", ranks, EXPERTS, seed=seed).ranks.tolist() for seed in (0, 1, 0)]
    assert dealt[0] == dealt[2] != dealt[1]


def test_unknown_selector_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"selector: 'randon' is unknown. Did you mean 'random'"):
        select("randon", random_ranks(0, 9), 3)
