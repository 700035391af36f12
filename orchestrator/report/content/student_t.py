"""Student's t distribution, and the power of a paired t test: how small a difference so many pairs can show.

Pure functions of whole degrees of freedom. Written out here, since no package that the program needs has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from statistics import NormalDist

LEVEL = 0.95  # of intervals; a difference shows where its p-value is below 1 - LEVEL
POWER = 0.8  # probability of showing a difference that is there, as Cohen (1988) proposed
MOST_PAIRS = 1000  # that ``pairs_needed`` goes up to
INTERVALS = 400  # of the integral over the spread
WIDTH = 9.0  # of that integral, in standard deviations of the spread to either side

_normal = NormalDist().cdf


def inside(t: float, freedom: int) -> float:
    """Returns P(|T| <= t) of Student's distribution.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2
    term, total = (cosine, cosine if freedom > 1 else 0.0) if odd else (1.0, 1.0)
    for number in range(3 if odd else 2, freedom - 1, 2):
        term *= (number - 1) / number * cosine**2
        total += term
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total


def p_value(t: float, freedom: int) -> float:
    """Returns the two-sided p-value of a t statistic, P(|T| >= |t|)."""
    return min(1.0, max(0.0, 1.0 - inside(abs(t), freedom)))


@cache
def t_quantile(freedom: int, level: float = LEVEL) -> float:
    """Returns the two-sided quantile of Student's distribution: the t with P(|T| <= t) = level."""
    return _solve(lambda t: inside(t, freedom), level)


def power(effect: float, pairs: int) -> float:
    """Returns the probability that a paired t test shows a difference, two-sided at 1 - ``LEVEL``.

    The test's statistic is (Z + effect sqrt(pairs)) / U, a noncentral t: Z is normal, and U^2 is chi-squared of
    f = pairs - 1 degrees of freedom, divided by f. Given U it is normal, so that the probability is an integral over
    U's density (Johnson, Kotz, Balakrishnan, Continuous Univariate Distributions, volume 2, chapter 31), here by
    Simpson's rule.

    Args:
        effect: the mean of the pairs' differences, in units of their standard deviation.
        pairs: number of pairs, two or more.
    """
    freedom = pairs - 1
    limit, shift = t_quantile(freedom), abs(effect) * math.sqrt(pairs)
    spread = 1 / math.sqrt(2 * freedom)  # about U's standard deviation
    low, high = max(0.0, 1 - WIDTH * spread), 1 + WIDTH * spread
    scale = math.log(2) + freedom / 2 * math.log(freedom / 2) - math.lgamma(freedom / 2)

    def integrand(u: float) -> float:
        if u == 0:
            density = math.exp(scale) if freedom == 1 else 0.0
        else:
            density = math.exp(scale + (freedom - 1) * math.log(u) - freedom * u * u / 2)
        return density * (_normal(shift - limit * u) + _normal(-shift - limit * u))

    step = (high - low) / INTERVALS
    values = [integrand(low + step * place) for place in range(INTERVALS + 1)]
    total = values[0] + values[-1] + 4 * sum(values[1:-1:2]) + 2 * sum(values[2:-1:2])
    return min(1.0, total * step / 3)


@cache
def smallest_effect(pairs: int) -> float:
    """Returns the effect (see ``power``) that so many pairs show with a probability of ``POWER``."""
    return _solve(lambda effect: power(effect, pairs), POWER)


def pairs_needed(effect: float) -> int | None:
    """Returns the fewest pairs that show an effect with a probability of ``POWER``; None above ``MOST_PAIRS``."""
    if power(effect, MOST_PAIRS) < POWER:
        return None
    few, enough = 1, 2
    while power(effect, enough) < POWER:
        few, enough = enough, min(2 * enough, MOST_PAIRS)
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if power(effect, middle) >= POWER else (middle, enough)
    return enough


def _solve(rising: Callable[[float], float], wanted: float) -> float:
    """Returns where a rising function of numbers from 0 on has the wanted value, by bisection."""
    low, high = 0.0, 1.0
    while rising(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return high
