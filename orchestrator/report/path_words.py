"""The comparison of TA paths in words, for the command's output and the page."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.recipe.topologies import TEACHERS
from orchestrator.report.content.paths_schema import PathRow, PathsReport
from orchestrator.report.words import counted, listed, percent

GIGA = 1e9
TAUGHT_BY_TEACHER = [topology for topology, teachers in TEACHERS.items() if range(1)[teachers]]
"""Topologies in which the teacher teaches the largest TA, so that a path with one TA is the same in all of them."""


def gigas(multiply_adds: float) -> str:
    """Multiply-adds in 10^9."""
    return f"{multiply_adds / GIGA:,.3g}" if multiply_adds < 100 * GIGA else f"{multiply_adds / GIGA:,.0f}"


def title(row: PathRow) -> str:
    """A path in words, with the topology where it makes a difference."""
    differs = len(row["tas"]) > 1 or row["topology"] not in TAUGHT_BY_TEACHER
    return f"{row['words']} ({row['topology']})" if differs else row["words"]


def coverage(content: PathsReport) -> list[str]:
    """Returns sentences on the trainings: how much of the lattice they are, and how many."""
    names, chosen = content["topologies"], any(row["finalist"] for row in content["rows"])
    further = f"the finalists' further seeds {'included' if chosen else 'not included yet'}"
    said = [
        f"{counted(len(content['ladder']) - 2, 'TA')} in {'topology' if len(names) == 1 else 'topologies'} "
        f"{listed(names)}: {counted(content['paths'], 'path')}, {content['different']} of them with different students "
        "(where TAs do not teach each other, the last one alone counts).",
        f"Seen: {content['seen']} of the {content['different']}, with {counted(content['seeds'], 'seed')} each.",
        f"Trainings: {content['trainings']} here, {further}. All paths take "
        f"{content['trainings_of_all']} at {counted(content['seeds'], 'seed')} with every stage shared, and "
        f"{content['trainings_without_sharing']} if each path trains all that it needs itself.",
    ]
    if content["budget"] is not None:
        said.append(f"The budget is {counted(content['budget'], 'training')}; {content['rule']}.")
    return said


def result(content: PathsReport) -> list[str]:
    """The result in sentences: the best path, and the cheapest that is as good."""
    best, cheapest = _row(content["rows"], content["best"]), _row(content["rows"], content["cheapest"])
    if best is None or cheapest is None:
        return ["No path can be chosen yet."]
    tested = f"; on test images {_measured(best['test_mean'], best['test_spread'])}" if best["test"] else ""
    said = (
        f"Best on validation images: {title(best)}, {_measured(best['validation_mean'], best['validation_spread'])} "
        f"over {counted(best['seeds'], 'seed')}{tested}."
    )
    cost = gigas(best["multiply_adds"])
    if best["validation_spread"] is None:
        return [said, "One seed has no spread, so no cheaper path can be called as good: give --final-seeds 2 or more."]
    if cheapest is best:
        return [said, f"No cheaper path is within its seed spread. It takes {cost} * 10^9 multiply-adds."]
    share = percent(cheapest["multiply_adds"] / best["multiply_adds"], 0)
    return [
        said,
        f"The cheapest path within its seed spread: {title(cheapest)}, {percent(cheapest['validation_mean'])} over "
        f"{counted(cheapest['seeds'], 'seed')}, for {gigas(cheapest['multiply_adds'])} * 10^9 multiply-adds, {share} "
        f"of the best path's {cost}.{'' if cheapest['finalist'] else ' It is no finalist: few seeds stand behind it.'}",
    ]


def _measured(mean: float | None, spread: float | None) -> str:
    return percent(mean) + (f" (s.d. {percent(spread)})" if spread is not None else "")


def _row(rows: Sequence[PathRow], number: int | None) -> PathRow | None:
    return next((row for row in rows if row["number"] == number), None)
