"""The paths that a budget of trainings allows, cheapest first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RULE = "cheapest first: next comes the path that adds the fewest multiply-adds to those before it"


@dataclass(frozen=True)
class Needs:
    """Everything that a path's students need, themselves included.

    Attributes:
        multiply_adds: of each stage, by identity.
        trainings: identities of those stages that are trainings.
    """

    multiply_adds: Mapping[str, float]
    trainings: frozenset[str]


def cheapest_first(needs: Sequence[Needs], budget: int | None = None) -> list[int]:
    """Returns the numbers of the paths to train, in the order of ``RULE``, ties by their order.

    A training that several paths need is counted once. A path whose trainings would exceed what is left of the budget
    is left out; a later one may still fit.

    Args:
        needs: of each path.
        budget: trainings at most; None for no limit.
    """
    chosen: list[int] = []
    have: set[str] = set()
    trained: set[str] = set()
    left = set(range(len(needs)))
    while left:
        fitting = [
            (sum(cost for identity, cost in needs[number].multiply_adds.items() if identity not in have), number)
            for number in left
            if budget is None or len(trained | needs[number].trainings) <= budget
        ]
        if not fitting:
            break
        _, number = min(fitting)
        chosen.append(number)
        left.remove(number)
        have.update(needs[number].multiply_adds)
        trained |= needs[number].trainings
    return chosen
