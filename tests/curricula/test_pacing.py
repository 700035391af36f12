"""Every pacing family: its formula, its limits, and its errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curricula.pacing import Pacing, make, names

FIXED = "fixed_exponential"


def cosine(progress: np.ndarray, a: float, b: float) -> np.ndarray:
    """A user-defined family: half a cosine wave."""
    return b + (1 - b) * (1 - np.cos(np.pi * progress / a)) / 2


USER_DEFINED = "cosine"


def pacing_of(family: str, a: float, b: float) -> Pacing:
    if family == USER_DEFINED:
        return make(cosine, a, b)
    return make(family, a, b, increase=1.9, step_length=0.05) if family == FIXED else make(family, a, b)


def direct(family: str, p: float, a: float, b: float) -> float:
    """The formulas once more, from the papers, for 0 < a and p < a."""
    grown = {
        "log": lambda u: 1 + 0.1 * math.log(u + math.exp(-10)),
        "exp": lambda u: (math.exp(10 * u) - 1) / (math.exp(10) - 1),
        "step": lambda u: 0.0,
        "root": lambda u: u**0.5,
        "linear": lambda u: u,
        "quadratic": lambda u: u**2,
    }
    return min(1.0, max(b, b + (1 - b) * grown[family](p / a)))


shares = st.floats(0, 1)
starts = st.floats(0.001, 1)


@pytest.mark.parametrize("family", [*names(), USER_DEFINED])
class TestEveryFamily:
    @given(a=shares, b=starts, progress=st.lists(shares, min_size=1, max_size=20))
    def test_stays_in_its_bounds_and_never_falls(self, family: str, a: float, b: float, progress: list[float]) -> None:
        fractions = pacing_of(family, a, b)(np.sort(progress))
        assert (fractions >= b).all() and (fractions <= 1).all()
        assert (np.diff(fractions) >= -1e-12).all()

    @given(a=shares, b=starts, progress=shares)
    def test_is_exactly_one_from_a_on(self, family: str, a: float, b: float, progress: float) -> None:
        assert pacing_of(family, a, b)(max(a, progress)) == 1.0

    @given(b=starts)
    def test_starts_at_b(self, family: str, b: float) -> None:
        assert pacing_of(family, 0.5, b)(0.0) == pytest.approx(b, rel=1e-12)

    @given(share=shares, progress=shares)
    def test_is_one_everywhere_if_a_is_zero_or_b_is_one(self, family: str, share: float, progress: float) -> None:
        assert pacing_of(family, 0.0, max(share, 0.001))(progress) == 1.0
        assert pacing_of(family, share, 1.0)(progress) == 1.0

    def test_is_one_at_the_end(self, family: str) -> None:
        assert pacing_of(family, 1.0, 0.01)(1.0) == 1.0

    def test_returns_a_float_for_a_number_and_the_same_values_for_an_array(self, family: str) -> None:
        pacing = pacing_of(family, 0.8, 0.2)
        progress = np.linspace(0, 1, 12).reshape(3, 4)
        fractions = pacing(progress)
        assert fractions.shape == progress.shape
        for at, fraction in zip(progress.flat, fractions.flat, strict=True):
            one = pacing(float(at))
            assert type(one) is float
            assert one == pytest.approx(fraction, rel=1e-14)

    @pytest.mark.parametrize("progress", [-0.1, 1.1, math.nan])
    def test_refuses_a_progress_outside_its_range(self, family: str, progress: float) -> None:
        with pytest.raises(ValueError, match=r"progress: .*not in \[0, 1\]"):
            pacing_of(family, 0.8, 0.2)(progress)

    @pytest.mark.parametrize(
        ("field", "value"), [("a", -0.1), ("a", 1.5), ("a", "1"), ("b", 0), ("b", 1.1), ("b", math.nan), ("b", True)]
    )
    def test_refuses_a_bad_field_by_name(self, family: str, field: str, value: Any) -> None:
        with pytest.raises(ValueError, match=rf"pacing\.{field}"):
            pacing_of(family, **({"a": 0.5, "b": 0.5} | {field: value}))

    def test_passes_the_check_of_user_defined_families(self, family: str) -> None:
        pacing_of(family, 0.7, 0.2).check()

    def test_equal_arguments_make_equal_pacings(self, family: str) -> None:
        assert pacing_of(family, 0.5, 0.5) == pacing_of(family, 0.5, 0.5)
        assert hash(pacing_of(family, 0.5, 0.5)) == hash(pacing_of(family, 0.5, 0.5))


@pytest.mark.parametrize("family", [name for name in names() if name != FIXED])
@given(a=st.floats(0.01, 1), b=starts, u=st.floats(0, 0.999))
def test_family_equals_its_formula(family: str, a: float, b: float, u: float) -> None:
    assert pacing_of(family, a, b)(u * a) == pytest.approx(direct(family, u * a, a, b), rel=1e-9)


@given(
    steps=st.integers(1, 500),
    step_length=st.integers(1, 500),
    increase=st.floats(1.01, 10),
    b=starts,
    data=st.data(),
)
def test_fixed_exponential_equals_its_formula_in_steps(
    steps: int, step_length: int, increase: float, b: float, data: st.DataObject
) -> None:
    step_length = min(step_length, steps)
    step = data.draw(st.integers(0, steps - 1))
    pacing = make(FIXED, 1.0, b, increase=increase, step_length=step_length / steps)
    logarithm = math.log(b) + (step // step_length) * math.log(increase)  # the power itself may overflow
    assert pacing(step / steps) == pytest.approx(math.exp(min(logarithm, 0.0)), rel=1e-9)


def test_fixed_exponential_opens_the_rest_at_a() -> None:
    pacing = make(FIXED, 0.5, 0.1, increase=1.5, step_length=0.25)
    np.testing.assert_allclose(pacing(np.array([0.0, 0.25, 0.499, 0.5])), [0.1, 0.15, 0.15, 1.0])


def test_fixed_exponential_starts_a_level_on_time_whatever_the_rounding() -> None:
    pacing = make(FIXED, 1.0, 0.001, increase=2.0, step_length=0.1)
    for level in range(10):  # 0.3 / 0.1 is below 3 in floating point
        assert pacing(level / 10) == pytest.approx(0.001 * 2**level)


def test_fixed_exponential_with_far_levels_does_not_overflow() -> None:
    assert make(FIXED, 1.0, 0.1, increase=1e10, step_length=1e-300)(0.9) == 1.0


@pytest.mark.parametrize(
    ("field", "value"),
    [("increase", 1.0), ("increase", None), ("step_length", 0.0), ("step_length", 2), ("step_length", None)],
)
def test_fixed_exponential_refuses_a_bad_level_by_name(field: str, value: float | None) -> None:
    levels = {"increase": 1.9, "step_length": 0.1} | {field: value}
    with pytest.raises(ValueError, match=rf"pacing\.{field}"):
        make(FIXED, 1.0, 0.1, **levels)


def test_levels_are_refused_for_the_other_families() -> None:
    with pytest.raises(ValueError, match=r"pacing\.increase: only fixed_exponential takes it, not linear"):
        make("linear", 0.5, 0.5, increase=1.9)


def test_unknown_family_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"pacing\.family: 'liner' is unknown. Did you mean 'linear'"):
        make("liner", 0.5, 0.5)


def test_the_families_of_both_papers_are_registered() -> None:
    assert names() == ["exp", FIXED, "linear", "log", "quadratic", "root", "step"]


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (lambda p, a, b: 1 - p, r"with a=0\.8, b=0\.2 it falls from 1 to 0\.999 at progress 0"),
        (lambda p, a, b: np.full_like(p, np.nan), "returned shape .* Return one finite fraction for each"),
        (lambda p, a, b: 0.5, r"returned shape \(\), 1 of them finite"),
        (lambda p, a, b: (p + 1) / (p.max() + 1), "it returns another fraction alone than in an array"),
    ],
)
def test_a_user_defined_family_that_is_not_a_pacing_is_refused(formula: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"pacing family <lambda>: .*{message}"):
        make(formula, 0.8, 0.2).check()
