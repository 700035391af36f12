"""The hypothesis as a number: gains, the lead of the diagonal, its verdict and the seeds that it takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.report.content.hypothesis import (
    SMALLEST,
    compared_with_diagonal,
    contrast_of,
    gain_of,
    gains,
    lead_of_diagonal,
    matrices,
    verdict,
)
from orchestrator.report.content.hypothesis_schema import Contrast, Gain

EXPERTS = ["small", "middle", "large"]
sizes, seeds = st.integers(2, 6), st.integers(0, 2**32 - 1)


def gain(low: float | None, high: float | None) -> Gain:
    return {"pairs": 3, "gain": 0.0, "spread": 0.1, "low": low, "high": high}


def measured(planted: float, spread: float = 0.004, count: int = 3, runs: int = 5, seed: int = 0) -> Contrast:
    """The contrast of matrices with row and column effects, noise of a spread, and a diagonal that is ``planted``."""
    generator = np.random.default_rng(seed)
    rows, columns = generator.normal(0, 0.05, (count, 1)), generator.normal(0, 0.02, (1, count))
    noise = generator.normal(0, spread, (runs, count, count))
    return contrast_of(list(rows + columns + planted * np.eye(count) + noise))


class TestGain:
    def test_it_is_the_mean_of_the_seeds_with_student_s_interval(self) -> None:
        found = gain_of([0.01, 0.02, 0.06])
        assert found["pairs"] == 3 and found["gain"] == pytest.approx(0.03)
        assert found["spread"] == pytest.approx(0.0264575, abs=1e-6)
        # 4.3027 * 0.0264575 / sqrt(3)
        assert found["low"] == pytest.approx(0.03 - 0.065725, abs=1e-5)
        assert found["high"] == pytest.approx(0.03 + 0.065725, abs=1e-5)

    @pytest.mark.parametrize("differences", [[], [0.1], [0.1, 0.1, 0.1]])
    def test_there_is_no_interval_without_a_spread(self, differences: list[float]) -> None:
        found = gain_of(differences)
        assert found["pairs"] == len(differences) and found["low"] is found["high"] is None

    def test_only_seeds_that_both_methods_have_are_compared(self) -> None:
        taught, baseline = {0: [0.9, 0.5], 2: [0.8, 0.4]}, {2: [0.7, 0.5], 1: [0.1, 0.1]}
        easy, hard = gains(taught, baseline)
        assert (easy["pairs"], easy["gain"]) == (1, pytest.approx(0.1))
        assert (hard["pairs"], hard["gain"]) == (1, pytest.approx(-0.1))


class TestLeadOfTheDiagonal:
    def test_it_is_the_diagonal_s_mean_less_that_of_the_rest(self) -> None:
        matrix = np.array([[0.5, 0.1, 0.3], [0.2, 0.4, 0.0], [0.1, 0.2, 0.6]])
        assert lead_of_diagonal(matrix) == pytest.approx(1.5 / 3 - 0.9 / 6)

    @given(seeds, sizes)
    def test_no_row_and_no_column_as_a_whole_changes_it(self, seed: int, count: int) -> None:
        generator = np.random.default_rng(seed)
        matrix, row, column = (generator.normal(size=shape) for shape in ((count, count), (count, 1), (1, count)))
        assert lead_of_diagonal(matrix + row + column) == pytest.approx(lead_of_diagonal(matrix), abs=1e-9)
        assert lead_of_diagonal(np.zeros((count, count)) + row + column) == pytest.approx(0, abs=1e-9)

    @given(seeds, sizes)
    def test_it_is_that_of_the_doubly_centred_matrix(self, seed: int, count: int) -> None:
        matrix = np.random.default_rng(seed).normal(size=(count, count))
        means = matrix.mean(axis=0, keepdims=True) + matrix.mean(axis=1, keepdims=True) - matrix.mean()
        centred = np.diagonal(matrix - means).mean()
        assert lead_of_diagonal(matrix) == pytest.approx(count / (count - 1) * centred)

    @given(seeds, sizes)
    def test_it_does_not_depend_on_the_baseline_of_the_gains(self, seed: int, count: int) -> None:
        generator = np.random.default_rng(seed)
        taught = [{7: generator.random(count).tolist()} for _ in range(count)]
        found = [matrices(taught, {7: generator.random(count).tolist()})[0] for _ in range(2)]
        assert lead_of_diagonal(found[0]) == pytest.approx(lead_of_diagonal(found[1]))

    def test_rows_are_strata_and_columns_experts_of_the_seeds_that_all_have(self) -> None:
        taught = [{0: [0.9, 0.3], 1: [0.8, 0.2]}, {1: [0.7, 0.6]}]
        (matrix,) = matrices(taught, {0: [0.0, 0.0], 1: [0.5, 0.1]})
        np.testing.assert_allclose(matrix, [[0.3, 0.2], [0.1, 0.5]])


class TestVerdict:
    @pytest.mark.parametrize(
        ("low", "high", "expected"),
        [
            (0.001, 0.02, "holds"),
            (1e-6, 0.001, "holds"),
            (-0.02, -0.001, "does not hold"),
            (-0.001, SMALLEST / 2, "does not hold"),
            (-0.001, 0.02, "cannot be told"),
            (None, None, "cannot be told"),
        ],
    )
    def test_the_interval_decides(self, low: float | None, high: float | None, expected: str) -> None:
        assert verdict(gain(low, high)) == expected

    @settings(max_examples=20)
    @given(seeds, sizes)
    def test_a_planted_diagonal_is_found(self, seed: int, count: int) -> None:
        found = measured(planted=0.1, count=count, seed=seed)
        assert found["verdict"] == "holds" and found["gain"] == pytest.approx(0.1, abs=0.02)

    @settings(max_examples=20)
    @given(seeds, sizes)
    def test_a_diagonal_that_trails_does_not_hold(self, seed: int, count: int) -> None:
        assert measured(planted=-0.1, count=count, seed=seed)["verdict"] == "does not hold"

    def test_without_interaction_it_is_said_to_hold_at_the_nominal_rate(self) -> None:
        noise = np.random.default_rng(0).normal(0, 0.01, (2000, 5, 3, 3))
        verdicts = [verdict(gain_of([lead_of_diagonal(matrix) for matrix in run])) for run in noise]
        # One side of a 95 % interval is 2.5 %, 50 of 2,000; four standard deviations of that count are 28.
        assert 22 <= verdicts.count("holds") <= 78

    def test_many_seeds_without_interaction_tell_that_it_does_not_hold(self) -> None:
        verdicts = [measured(planted=0.0, spread=0.002, runs=30, seed=seed)["verdict"] for seed in range(50)]
        assert verdicts.count("does not hold") >= 45

    def test_the_seeds_needed_are_those_of_the_lead_that_was_found(self) -> None:
        few, many = measured(planted=0.02, spread=0.01), measured(planted=0.004, spread=0.01)
        assert few["seeds_needed"] is not None and many["seeds_needed"] is not None
        assert few["seeds_needed"] < many["seeds_needed"]

    def test_the_seeds_needed_are_never_for_less_than_is_of_use(self) -> None:
        found = contrast_of([lead * np.eye(2) for lead in (0.004, -0.004, 0.004, -0.004)])
        assert found["gain"] == 0 and found["spread"] == pytest.approx(0.0046188, abs=1e-6)
        # An effect of 0.002 / 0.0046188 = 0.433 standard deviations: (1.96 + 0.8416)^2 / 0.433^2 + 1.96^2 / 2 = 43.8
        assert found["seeds_needed"] == 44

    def test_a_diagonal_that_trails_is_no_lead_to_show(self) -> None:
        trailing, level = (
            contrast_of([lead * np.eye(2) for lead in leads])
            for leads in ((0.002, -0.008, 0.002, -0.008), (0.005, -0.005, 0.005, -0.005))
        )
        assert (trailing["gain"], level["gain"]) == (pytest.approx(-0.003), 0)
        assert trailing["verdict"] == "cannot be told"
        assert trailing["seeds_needed"] == level["seeds_needed"] == 68  # of a lead of 0.002

    def test_one_seed_tells_nothing(self) -> None:
        found = contrast_of([np.eye(3)])
        assert (found["verdict"], found["seeds_needed"], found["gain"]) == ("cannot be told", None, 1.0)


class TestFoundTable:
    def test_the_diagonal_matches_everywhere(self) -> None:
        found = compared_with_diagonal(EXPERTS, EXPERTS)
        assert (found["matches"], found["order"]) == (3, 1.0)
        assert found["chance"] == pytest.approx(1 / 27)

    def test_its_opposite_keeps_the_middle_and_has_the_opposite_order(self) -> None:
        found = compared_with_diagonal(EXPERTS[::-1], EXPERTS)
        assert (found["matches"], found["order"]) == (1, -1.0)
        assert found["chance"] == pytest.approx(1 - (2 / 3) ** 3)

    def test_one_expert_for_all_has_no_order(self) -> None:
        found = compared_with_diagonal(["large"] * 3, EXPERTS)
        assert (found["matches"], found["order"]) == (1, 0.0)

    def test_only_an_expert_among_the_alternatives_can_match_by_chance(self) -> None:
        found = compared_with_diagonal(["small", "small", "large"], EXPERTS, ["small", "large"])
        # The middle stratum's own expert is none of the two; each of the other strata has its own by one half.
        assert (found["matches"], found["chance"]) == (2, pytest.approx(1 / 4))
        found = compared_with_diagonal(["small", "small", "small"], EXPERTS, ["small", "large"])
        assert (found["matches"], found["chance"]) == (1, pytest.approx(3 / 4))
