"""Fidelity of the taught students, as means over seeds."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import TypedDict

from orchestrator.report.content.schema import Fidelity, StudentRow
from orchestrator.report.content.statistics import mean


class FidelityRow(TypedDict):
    """A method's students beside one expert: means over the seeds that have been measured."""

    method: str
    expert: str
    seeds: int
    agreement: float | None
    kl_t1: float | None
    kl_t4: float | None


def fidelity_rows(students: Sequence[StudentRow]) -> list[FidelityRow]:
    """One row for each method and expert, both in the order in which they first occur."""
    found: dict[tuple[str, str], list[Fidelity]] = {}
    for row in students:
        for expert, measured in row["fidelity"].items():
            found.setdefault((row["method"], expert), []).append(measured)
    return [
        {
            "method": method, "expert": expert, "seeds": len(each),
            "agreement": mean(one["agreement"] for one in each), "kl_t1": mean(one["kl_t1"] for one in each),
            "kl_t4": mean(one["kl_t4"] for one in each),
        }
        for (method, expert), each in found.items()
    ]  # fmt: skip
