"""Student's t distribution, and the power of a paired t test: values of the tables, and what must hold everywhere."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.report.content.student_t import (
    LEVEL,
    MOST_PAIRS,
    POWER,
    inside,
    p_value,
    pairs_needed,
    power,
    smallest_effect,
    t_quantile,
)


@pytest.mark.parametrize(
    ("freedom", "known"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (10, 2.2281), (11, 2.2010), (30, 2.0423), (1000, 1.9623)],
)
def test_the_quantile_is_that_of_the_tables(freedom: int, known: float) -> None:
    assert t_quantile(freedom) == pytest.approx(known, abs=5e-5)


@pytest.mark.parametrize(
    ("freedom", "level", "known"), [(1, 0.9, 6.3138), (4, 0.99, 4.6041), (9, 0.9, 1.8331), (120, 0.99, 2.6174)]
)
def test_other_levels_are_those_of_the_tables_too(freedom: int, level: float, known: float) -> None:
    assert t_quantile(freedom, level) == pytest.approx(known, abs=5e-5)


@given(st.floats(0, 1000))
def test_one_and_two_degrees_of_freedom_are_the_known_closed_forms(t: float) -> None:
    assert inside(t, 1) == pytest.approx(2 / math.pi * math.atan(t), abs=1e-12)
    assert inside(t, 2) == pytest.approx(t / math.sqrt(2 + t * t), abs=1e-12)


@given(st.floats(0, 50), st.floats(0, 50), st.integers(1, 300))
def test_a_larger_statistic_has_a_smaller_p_value_within_0_and_1(one: float, two: float, freedom: int) -> None:
    low, high = sorted((one, two))
    assert 0 <= p_value(high, freedom) <= p_value(low, freedom) + 1e-12 <= 1 + 1e-12
    assert p_value(-low, freedom) == p_value(low, freedom)


@given(st.integers(1, 400), st.floats(0.01, 0.999))
def test_the_quantile_undoes_the_distribution(freedom: int, level: float) -> None:
    assert inside(t_quantile(freedom, level), freedom) == pytest.approx(level, abs=1e-6)


# Numbers of pairs of a paired t test, two-sided at 5 %, with 80 % power, as Cohen's tables and G*Power have them.
@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.3, 90), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_the_pairs_that_an_effect_takes_are_those_of_the_tables(effect: float, pairs: int) -> None:
    assert pairs_needed(effect) == pairs


# By SciPy's noncentral t distribution (scipy.stats.nct), in units of the spread.
@pytest.mark.parametrize(("pairs", "effect"), [(3, 3.2640), (5, 1.6820), (10, 0.9960), (20, 0.6604)])
def test_the_smallest_effect_of_few_pairs_is_that_of_the_noncentral_distribution(pairs: int, effect: float) -> None:
    assert smallest_effect(pairs) == pytest.approx(effect, abs=2e-4)


@given(st.integers(2, 60))
def test_without_a_difference_a_test_shows_one_as_often_as_its_level_says(pairs: int) -> None:
    assert power(0.0, pairs) == pytest.approx(1 - LEVEL, abs=1e-6)


@given(st.floats(0.05, 6), st.integers(2, 60))
def test_power_rises_with_the_effect_and_with_the_pairs(effect: float, pairs: int) -> None:
    assert power(effect, pairs) <= power(1.1 * effect, pairs) + 1e-9
    assert power(effect, pairs) <= power(effect, pairs + 1) + 1e-9
    assert power(-effect, pairs) == power(effect, pairs)


@given(st.floats(0.1, 20))
def test_so_many_pairs_are_enough_and_one_fewer_is_not(effect: float) -> None:
    pairs = pairs_needed(effect)
    assert pairs is not None and power(effect, pairs) >= POWER
    assert pairs == 2 or power(effect, pairs - 1) < POWER


def test_an_effect_that_takes_more_pairs_than_anybody_runs_has_no_number() -> None:
    assert pairs_needed(0.0) is None and pairs_needed(0.08) is None
    assert pairs_needed(0.09) is not None and (pairs_needed(0.09) or 0) <= MOST_PAIRS
