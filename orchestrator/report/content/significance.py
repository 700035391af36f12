"""Which differences count: p-values corrected for the number of comparisons, and the one that was stated beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.recipe.methods import method_of
from orchestrator.report.content.schema import Comparison
from orchestrator.report.content.student_t import LEVEL


def holm(values: Sequence[float]) -> list[float]:
    """Returns p-values corrected for their number, in the order given.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 1979, as
    adjusted values: the k-th smallest of m times m - k + 1, never below a smaller one's and never above 1. The chance
    that any comparison without a true difference comes out below 0.05 is then at most 5 %.
    """
    order = sorted(range(len(values)), key=lambda place: values[place])
    corrected, reached = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        reached = max(reached, min(1.0, values[place] * (len(values) - rank)))
        corrected[place] = reached
    return corrected


def is_clear(comparison: Comparison) -> bool | None:
    """Whether a difference is larger than the seeds' spread explains, by its corrected p-value; None without one."""
    corrected = comparison["p_corrected"]
    return None if corrected is None else corrected < 1 - LEVEL


def with_corrections(comparisons: Sequence[Comparison], rival: str | None) -> list[Comparison]:
    """Returns comparisons of one method with each other one, with what the number of them does to their p-values.

    The comparison with ``rival`` is the primary one, which is not corrected; all others are, together.
    """
    others = [row for row in comparisons if row["method"] != rival and row["p"] is not None]
    corrected = dict(
        zip((row["method"] for row in others), holm([row["p"] or 0.0 for row in others]), strict=True)
    )  # fmt: skip
    return [
        {**row, "primary": row["method"] == rival, "p_corrected": corrected.get(row["method"], row["p"])}
        for row in comparisons
    ]


def main_comparison(comparisons: Sequence[Comparison]) -> Comparison | None:
    """Returns the primary comparison; without one that with the closest method; None where nothing can be compared."""
    for row in comparisons:
        if row["primary"]:
            return row
    known = [row for row in comparisons if row["difference"] is not None]
    return min(known, key=lambda row: abs(row["difference"] or 0.0), default=None)


def is_baseline(method: str) -> bool:
    """Whether a method is one that the reference has to beat: it has no curriculum, and is nobody's control."""
    row = method_of(method)
    return row.dealing is None and row.control_of is None
