"""The lattice of TA paths: every subset of a ladder's TAs, in every topology that is compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from orchestrator.recipe.topologies import Topology

MOST_TAS = 10  # 1,024 paths a topology


@dataclass(frozen=True)
class TAPath:
    """The TAs between teacher and student, largest first, and the topology that says which networks teach them."""

    topology: Topology
    tas: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.topology}: {self.words}"

    @property
    def words(self) -> str:
        """The TAs in words."""
        return " > ".join(self.tas) or "no TA"


def ta_paths(tas: Sequence[str], topologies: Sequence[Topology]) -> list[TAPath]:
    """Returns every path once: 2^n subsets of n TAs (given largest first) in each topology, fewest TAs first."""
    sizes = range(len(tas) + 1)
    subsets = [subset for size in sizes for subset in combinations(tas, size)]
    return [TAPath(topology, subset) for subset in subsets for topology in topologies]
