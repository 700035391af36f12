"""Pacing: pure functions from progress to the fraction of a curriculum that is in play.

Six families come from Wu, Dyer, Neyshabur, "When Do Curricula Work?" (ICLR 2021), in their (a, b) form: ``a`` is the
share of training after which everything is in play, ``b`` the fraction at the start. ``fixed_exponential`` comes from
Hacohen and Weinshall, "On the Power of Curriculum Learning in Training Deep Networks" (ICML 2019).

With p the progress, before the clamp to [b, 1]:

    log                  b + (1 - b) (1 + 0.1 ln(p / a + e^-10))
    exp                  b + (1 - b) (e^(10 p / a) - 1) / (e^10 - 1)
    step                 b while p < a, then 1
    root                 b + (1 - b) (p / a)^(1/2)
    linear               b + (1 - b) (p / a)
    quadratic            b + (1 - b) (p / a)^2
    fixed_exponential    b increase^floor(p / step_length)

Every family, ``fixed_exponential`` too, is exactly 1 from p >= a on; a = 0 or b = 1 is ordinary training. The argument
is progress, never a step, so one pacing means the same for a short search trial and for a long final training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from curricula.checks import FRACTION_TOLERANCE, FloatArray, number, unknown_name

Formula = Callable[["Pacing", FloatArray], FloatArray]
UserFormula = Callable[[FloatArray, float, float], npt.ArrayLike]
"""A user-defined family: (progress float64 (n,) in [0, a), a, b) -> fractions (n,), which are clamped to [b, 1]."""

CHECKED_POINTS = 1001

FAMILIES: dict[str, Formula] = {}


def _family(name: str) -> Callable[[Formula], Formula]:
    def add(formula: Formula) -> Formula:
        FAMILIES[name] = formula
        return formula

    return add


@dataclass(frozen=True)
class Pacing:
    """A pacing function: called with a progress in [0, 1], or an array of them, it returns fractions in [b, 1].

    Attributes:
        family: one of ``names()``, or a ``UserFormula``.
        a: in [0, 1], share of training after which everything is in play. For ``fixed_exponential`` it is a limit:
            images that the levels have not opened by then open at once.
        b: in (0, 1], fraction in play at the start.
        increase: ``fixed_exponential`` only: factor between two levels, above 1.
        step_length: ``fixed_exponential`` only: share of training that a level lasts, in (0, 1].

    Raises:
        ValueError: naming the field, for anything else.
    """

    family: str | UserFormula
    a: float
    b: float
    increase: float | None = None
    step_length: float | None = None

    def __post_init__(self) -> None:
        if not callable(self.family) and self.family not in FAMILIES:
            raise unknown_name("pacing.family", self.family, FAMILIES)
        if not 0 <= number("pacing.a", self.a) <= 1:
            raise ValueError(f"pacing.a: {self.a} is not in [0, 1]. Give the share of training until all is in play.")
        if not 0 < number("pacing.b", self.b) <= 1:
            raise ValueError(f"pacing.b: {self.b} is not in (0, 1]. Give the fraction that is in play at the start.")
        if self.family != "fixed_exponential":
            for field in ("increase", "step_length"):
                if getattr(self, field) is not None:
                    raise ValueError(f"pacing.{field}: only fixed_exponential takes it, not {self.name}. Remove it.")
            return
        if number("pacing.increase", self.increase) <= 1:
            raise ValueError(f"pacing.increase: {self.increase} is not above 1. Give the factor between two levels.")
        if not 0 < number("pacing.step_length", self.step_length) <= 1:
            raise ValueError(
                f"pacing.step_length: {self.step_length} is not in (0, 1]. Give the share of training a level lasts."
            )

    @property
    def name(self) -> str:
        """The family's name; for a user-defined family, the function's."""
        return self.family if isinstance(self.family, str) else getattr(self.family, "__name__", repr(self.family))

    @overload
    def __call__(self, progress: float) -> float: ...

    @overload
    def __call__(self, progress: FloatArray) -> FloatArray: ...

    def __call__(self, progress: npt.ArrayLike) -> float | FloatArray:
        """Returns the fraction in play at ``progress`` (any shape, in [0, 1]).

        Raises:
            ValueError: for a progress outside [0, 1], and for a user-defined family that returns anything else than
                one finite fraction for each progress.
        """
        at = np.asarray(progress, dtype=np.float64)
        if not np.all((at >= 0) & (at <= 1)):
            raise ValueError(f"progress: {progress!r} is not in [0, 1]. Give steps done / steps in all.")
        early = at < self.a
        fraction = np.ones_like(at)
        # The formulas see only p < a, so a = 0 divides nothing and e^(10 p / a) stays below e^10.
        if early.any():
            fraction[early] = np.clip(self._formula(at[early]), self.b, 1.0)
        return float(fraction) if fraction.ndim == 0 else fraction

    def _formula(self, progress: FloatArray) -> FloatArray:
        if isinstance(self.family, str):
            return FAMILIES[self.family](self, progress)
        found = np.asarray(self.family(progress, self.a, self.b), dtype=np.float64)
        if found.shape != progress.shape or not np.isfinite(found).all():
            raise ValueError(
                f"pacing family {self.name}: returned shape {found.shape}, {np.isfinite(found).sum()} of them finite, "
                f"for {progress.shape} progress values. Return one finite fraction for each."
            )
        return found

    def check(self) -> None:
        """Evaluate the fraction at 1001 values of progress.

        Raises:
            ValueError: when it falls anywhere, or depends on anything but the progress.
        """
        progress = np.linspace(0, 1, CHECKED_POINTS)
        fractions = self(progress)
        falls = np.flatnonzero(np.diff(fractions) < -FRACTION_TOLERANCE)
        if len(falls):
            before, after = fractions[falls[0]], fractions[falls[0] + 1]
            raise ValueError(
                f"pacing family {self.name}: with a={self.a:g}, b={self.b:g} it falls from {before:.4g} to {after:.4g} "
                f"at progress {progress[falls[0]]:g}. Return fractions that never fall."
            )
        one_by_one = np.array([self(float(at)) for at in progress])
        if not np.allclose(one_by_one, fractions, rtol=0, atol=FRACTION_TOLERANCE):
            at = progress[np.argmax(np.abs(one_by_one - fractions))]
            raise ValueError(
                f"pacing family {self.name}: at progress {at:g} it returns another fraction alone than in an array. "
                "Compute each fraction from its own progress, a and b only."
            )


def make(
    family: str | UserFormula, a: float, b: float, *, increase: float | None = None, step_length: float | None = None
) -> Pacing:
    """Returns the pacing of a family. Arguments and errors are those of ``Pacing``."""
    return Pacing(family, a, b, increase, step_length)


def names() -> list[str]:
    """Returns the names of all families, sorted."""
    return sorted(FAMILIES)


@_family("log")
def _log(pacing: Pacing, progress: FloatArray) -> FloatArray:
    return pacing.b + (1 - pacing.b) * (1 + 0.1 * np.log(progress / pacing.a + np.exp(-10)))


@_family("exp")
def _exp(pacing: Pacing, progress: FloatArray) -> FloatArray:
    return pacing.b + (1 - pacing.b) * np.expm1(10 * progress / pacing.a) / np.expm1(10)


@_family("step")
def _step(pacing: Pacing, progress: FloatArray) -> FloatArray:
    return np.full_like(progress, pacing.b)


@_family("root")
def _root(pacing: Pacing, progress: FloatArray) -> FloatArray:
    return pacing.b + (1 - pacing.b) * np.sqrt(progress / pacing.a)


@_family("linear")
def _linear(pacing: Pacing, progress: FloatArray) -> FloatArray:
    return pacing.b + (1 - pacing.b) * progress / pacing.a


@_family("quadratic")
def _quadratic(pacing: Pacing, progress: FloatArray) -> FloatArray:
    return pacing.b + (1 - pacing.b) * (progress / pacing.a) ** 2


@_family("fixed_exponential")
def _fixed_exponential(pacing: Pacing, progress: FloatArray) -> FloatArray:
    assert pacing.increase is not None and pacing.step_length is not None  # Pacing has checked them
    # A far level overflows to infinity, which the clamp turns into 1.
    with np.errstate(over="ignore"):
        level = np.floor(progress / pacing.step_length + FRACTION_TOLERANCE)
        return pacing.b * pacing.increase**level
