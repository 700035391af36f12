"""The content of ``paths.json``: the comparison of TA paths, and its findings in words (docs/paths.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from typing_extensions import TypedDict

from orchestrator.recipe.topologies import TEACHERS
from orchestrator.report.content.schema import means
from orchestrator.report.words import counted, listed, percent

VERSION = 1
GIGA = 1e9
TAUGHT_BY_TEACHER = [topology for topology, teachers in TEACHERS.items() if range(1)[teachers]]


class PathRow(TypedDict):
    """A path, with the others of the same student. Accuracies are of the weights that were best on validation."""

    number: Annotated[int, means("its number in the table and the picture, from 1")]
    topology: Annotated[str, means("where its TAs' guidance comes from")]
    tas: Annotated[list[str], means("its TAs, largest first")]
    words: Annotated[str, means("its TAs in words")]
    same: Annotated[list[str], means("paths that have the same student")]
    seen: Annotated[bool, means("whether the budget reaches it")]
    finalist: Annotated[bool, means("whether it was trained with more seeds and tested")]
    on_front: Annotated[bool, means("whether no other path is cheaper and as good, or better and as cheap")]
    networks: Annotated[int, means("trainings for one student of it, itself included")]
    multiply_adds: Annotated[float, means("of all that one student of it takes, itself included")]
    seeds: Annotated[list[int], means("seeds of its students")]
    validation: Annotated[list[float | None], means("validation accuracy, by seed")]
    validation_mean: Annotated[float | None, means("mean over seeds; `null` until all are there")]
    validation_spread: Annotated[float | None, means("sample standard deviation over seeds")]
    test: Annotated[list[float | None], means("test accuracy of a finalist, by seed; empty for others")]
    test_mean: Annotated[float | None, means("mean over seeds")]
    test_spread: Annotated[float | None, means("sample standard deviation over seeds")]


class PathsReport(TypedDict):
    """Everything."""

    version: Annotated[int, means("version of this layout, now 1")]
    id: Annotated[str, means("name of its folder below `reports/`")]
    recipe: Annotated[str, means("the recipe's name")]
    command: Annotated[str, means("the command")]
    written: Annotated[float, means("time of writing, in unix seconds")]
    complete: Annotated[bool, means("whether the finalists are tested")]
    ladder: Annotated[list[str], means("all networks, teacher first")]
    topologies: Annotated[list[str], means("those compared")]
    temperature: Annotated[float, means("temperature of all distillation")]
    kd_weight: Annotated[float, means("weight of all distillation")]
    seeds: Annotated[int, means("students of each path that is seen")]
    final_seeds: Annotated[int, means("students of each finalist")]
    budget: Annotated[int | None, means("trainings at most; `null` for no limit")]
    rule: Annotated[str, means("which paths a budget reaches")]
    expert_outputs: Annotated[str, means("whether logits are stored or computed beside the students, and why")]
    paths: Annotated[int, means("paths in all: every subset of the TAs in every topology")]
    different: Annotated[int, means("those with different students")]
    seen: Annotated[int, means("of these, those that the budget reaches")]
    trainings: Annotated[int, means("trainings of the paths that are seen and of the finalists")]
    trainings_of_all: Annotated[int, means("trainings of all paths, without the finalists' further seeds")]
    trainings_without_sharing: Annotated[int, means("the same if each path trained everything itself")]
    rows: Annotated[list[PathRow], means("every path with a student of its own, fewest TAs first (below)")]
    best: Annotated[int | None, means("number of the finalist of the highest mean validation accuracy")]
    cheapest: Annotated[int | None, means("number of the cheapest path within a seed spread of the best")]


def gigas(multiply_adds: float) -> str:
    """Multiply-adds in 10^9."""
    return f"{multiply_adds / GIGA:,.3g}" if multiply_adds < 100 * GIGA else f"{multiply_adds / GIGA:,.0f}"


def title(row: PathRow) -> str:
    """A path in words, with the topology where it makes a difference."""
    differs = len(row["tas"]) > 1 or row["topology"] not in TAUGHT_BY_TEACHER
    return f"{row['words']} ({row['topology']})" if differs else row["words"]


def coverage(content: PathsReport) -> list[str]:
    """Returns sentences on the trainings: how much of the lattice they are, and how many."""
    names = content["topologies"]
    said = [
        f"{counted(len(content['ladder']) - 2, 'TA')} in {'topology' if len(names) == 1 else 'topologies'} "
        f"{listed(names)}: {counted(content['paths'], 'path')}, {content['different']} of them with different students "
        "(where TAs do not teach each other, the last one alone counts).",
        f"Seen: {content['seen']} of the {content['different']}, with {counted(content['seeds'], 'seed')} each.",
        f"Trainings: {content['trainings']} here, the finalists' further seeds included. All paths take "
        f"{content['trainings_of_all']} at {counted(content['seeds'], 'seed')} with every stage shared, and "
        f"{content['trainings_without_sharing']} if each path trains everything itself.",
    ]
    if content["budget"] is not None:
        said.append(f"The budget is {counted(content['budget'], 'training')}; {content['rule']}.")
    return said


def verdict(content: PathsReport) -> list[str]:
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
