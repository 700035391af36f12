"""Who teaches a TA: the topologies, and those that methods of other papers bring with them. No torch, no ray."""

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
# The topology of the TAs that a method's experts come from, where it is not the recipe's own.
TOPOLOGY_OF: dict[str, Topology] = {"takd": "sequential", "dgkd": "dense", "dgkd_stochastic": "dense"}
