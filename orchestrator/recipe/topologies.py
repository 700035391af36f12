"""Topologies: the larger networks that teach a TA. Imports neither torch nor ray."""

from __future__ import annotations

from typing import Literal

Topology = Literal["direct", "sequential", "dense", "scratch"]

# Which of the larger networks, largest first, teach a TA.
TEACHERS: dict[Topology, slice] = {
    "direct": slice(1),
    "sequential": slice(-1, None),
    "dense": slice(None),
    "scratch": slice(0),
}

# Those in which no TA is taught by another one, so that any of them can be left out and the others stay as they are.
INDEPENDENT = frozenset(topology for topology, teachers in TEACHERS.items() if set(range(3)[teachers]) <= {0})
