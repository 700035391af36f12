"""Corrected p-values, and the comparison that was stated beforehand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.recipe.methods import METHODS, REFERENCE
from orchestrator.report.content.schema import Comparison
from orchestrator.report.content.significance import holm, is_baseline, is_clear, main_comparison, with_corrections
from orchestrator.report.content.statistics import paired

VALUES = st.lists(st.floats(0, 1), max_size=20)


def comparison(method: str, p: float | None, difference: float | None = 0.01) -> Comparison:
    return {**paired([], REFERENCE, method), "difference": difference, "p": p, "p_corrected": p}


def test_p_values_are_corrected_as_in_holm_s_procedure() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1 that is 0.02, 0.03, 0.06, 0.04, and the last is held at 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.2]) == [0.2] and holm([0.6, 0.7]) == [1.0, 1.0]


@given(VALUES)
def test_correction_raises_values_and_keeps_their_order(values: list[float]) -> None:
    found = holm(values)
    assert all(before <= after <= 1 for before, after in zip(values, found, strict=True))
    assert all(one <= two for (_, one), (_, two) in pairwise(sorted(zip(values, found, strict=True))))


@given(VALUES)
def test_it_is_never_stricter_than_bonferroni_s_and_as_strict_for_the_smallest(values: list[float]) -> None:
    found, whole = holm(values), [min(1.0, len(values) * value) for value in values]
    assert all(one <= two + 1e-12 for one, two in zip(found, whole, strict=True))
    assert not values or min(found) == pytest.approx(min(whole))


def test_the_primary_comparison_is_left_out_of_the_correction() -> None:
    rows = with_corrections([comparison("kd", 0.04), comparison("takd", 0.04), comparison("dgkd", 0.03)], "kd")
    assert [(row["method"], row["primary"], row["p_corrected"]) for row in rows] == [
        ("kd", True, 0.04),
        ("takd", False, pytest.approx(0.06)),
        ("dgkd", False, pytest.approx(0.06)),
    ]
    assert [is_clear(row) for row in rows] == [True, False, False]


def test_a_comparison_that_can_t_be_tested_counts_in_no_correction() -> None:
    rows = with_corrections([comparison("kd", 0.04), comparison("takd", None), comparison("dgkd", 0.03)], "kd")
    assert [row["p_corrected"] for row in rows] == [0.04, None, 0.03]
    assert is_clear(rows[1]) is None


def test_the_main_comparison_is_the_primary_one_and_without_it_the_closest() -> None:
    rows = [comparison("kd", 0.5, 0.03), comparison("takd", 0.5, -0.01), comparison("dgkd", None, None)]
    found = main_comparison(rows)
    assert found is not None and found["method"] == "takd"
    found = main_comparison(with_corrections(rows, "dgkd"))
    assert found is not None and found["method"] == "dgkd"
    assert main_comparison([]) is None


def test_controls_and_curricula_are_no_baselines() -> None:
    baselines = [name for name in METHODS if is_baseline(name)]
    assert {"labels", "kd", "takd", "dgkd"} <= set(baselines)
    assert REFERENCE not in baselines and not any(METHODS[name].control_of for name in baselines)
