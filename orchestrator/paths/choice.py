"""Choices among paths that were trained, all by validation accuracy: finalists, Pareto front, the cheapest as good."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """A path's cost in multiply-adds, and the validation accuracy of its students, one a seed."""

    cost: float
    validation: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.validation)

    @property
    def spread(self) -> float:
        """Sample standard deviation over seeds; 0 for one seed."""
        return statistics.stdev(self.validation) if len(self.validation) > 1 else 0.0


def finalists(outcomes: Sequence[Outcome], count: int) -> list[int]:
    """Returns the numbers of the paths of the highest mean, best first; of equals the cheaper comes first."""
    return sorted(range(len(outcomes)), key=lambda at: (-outcomes[at].mean, outcomes[at].cost, at))[:count]


def pareto_front(outcomes: Sequence[Outcome]) -> list[int]:
    """Returns the numbers of the paths that no other path beats in cost and mean both, cheapest first.

    A path beats another if it is at least as good in both, and better in one.
    """
    front: list[int] = []
    for at in sorted(range(len(outcomes)), key=lambda at: (outcomes[at].cost, -outcomes[at].mean, at)):
        last = outcomes[front[-1]] if front else None
        alike = last is not None and (last.cost, last.mean) == (outcomes[at].cost, outcomes[at].mean)
        if last is None or alike or outcomes[at].mean > last.mean:
            front.append(at)
    return front


def cheapest_as_good(outcomes: Sequence[Outcome], best: int) -> int:
    """Returns the number of the cheapest path whose mean is within one seed spread of that of the path ``best``."""
    least = outcomes[best].mean - outcomes[best].spread
    good = [at for at in range(len(outcomes)) if outcomes[at].mean >= least]
    return min(good, key=lambda at: (outcomes[at].cost, -outcomes[at].mean, at))
