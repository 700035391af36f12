"""Choices among trained paths, by validation accuracy and cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.paths.choice import Outcome, cheapest_as_good, finalists, pareto_front

OUTCOMES = [Outcome(10, (0.70, 0.72)), Outcome(20, (0.80, 0.84)), Outcome(30, (0.79, 0.79)), Outcome(40, (0.83, 0.83))]


def test_finalists_have_the_highest_means() -> None:
    assert finalists(OUTCOMES, 2) == [3, 1]
    assert finalists(OUTCOMES, 9) == [3, 1, 2, 0]


def test_of_equal_means_the_cheaper_path_comes_first() -> None:
    assert finalists([Outcome(2, (0.5,)), Outcome(1, (0.5,))], 1) == [1]


def test_the_front_has_the_paths_that_none_beats() -> None:
    assert pareto_front(OUTCOMES) == [0, 1, 3]


def test_equal_paths_are_on_the_front_together() -> None:
    assert pareto_front([Outcome(1, (0.5,)), Outcome(1, (0.5,)), Outcome(1, (0.4,))]) == [0, 1]


def test_the_cheapest_path_within_the_best_s_seed_spread_is_chosen() -> None:
    # The best has 0.82 with a sample standard deviation of 0.02 * sqrt(2) = 0.0283, so 0.80 is as good and 0.79 is not.
    best = Outcome(50, (0.80, 0.84))
    assert best.spread == pytest.approx(0.02 * 2**0.5)
    others = [Outcome(10, (0.79, 0.79)), Outcome(20, (0.80, 0.80)), Outcome(30, (0.81, 0.81))]
    assert cheapest_as_good([*others, best], 3) == 1


def test_one_seed_has_no_spread_so_that_only_a_path_as_accurate_is_as_good() -> None:
    assert cheapest_as_good([Outcome(1, (0.79,)), Outcome(2, (0.8,)), Outcome(3, (0.8,))], 2) == 1


ANY = st.lists(
    st.builds(Outcome, st.integers(1, 5), st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple)), min_size=1
)


@given(ANY)
def test_a_path_is_on_the_front_exactly_if_no_other_beats_it(outcomes: list[Outcome]) -> None:
    def beaten(one: Outcome) -> bool:
        return any(
            other.cost <= one.cost and other.mean >= one.mean and (other.cost, other.mean) != (one.cost, one.mean)
            for other in outcomes
        )

    assert sorted(pareto_front(outcomes)) == [at for at, one in enumerate(outcomes) if not beaten(one)]


@given(ANY)
def test_the_cheapest_as_good_never_costs_more_than_the_best(outcomes: list[Outcome]) -> None:
    best = finalists(outcomes, 1)[0]
    found = outcomes[cheapest_as_good(outcomes, best)]
    assert found.cost <= outcomes[best].cost
    assert found.mean >= outcomes[best].mean - outcomes[best].spread
