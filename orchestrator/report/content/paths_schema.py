"""The schema of ``paths.json``, the comparison of TA paths (docs/paths.md): every field with its type and meaning."""

from __future__ import annotations

from typing import Annotated

from typing_extensions import TypedDict

from orchestrator.report.content.meanings import means
from orchestrator.report.content.schema import Distillation

VERSION = 2


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

    version: Annotated[int, means("version of this layout, now 2")]
    id: Annotated[str, means("name of its folder below `reports/`")]
    name: Annotated[str, means("the recipe's name")]
    command: Annotated[str, means("the command")]
    written: Annotated[float, means("time of writing, in unix seconds")]
    complete: Annotated[bool, means("whether the finalists are tested")]
    ladder: Annotated[list[str], means("all networks, teacher first")]
    topologies: Annotated[list[str], means("those compared")]
    distillation: Annotated[
        Distillation, means("settings of all distillation; its fields are those of `taught_with` in docs/report.md")
    ]
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
    trainings_without_sharing: Annotated[int, means("the same if each path trained all that it needs itself")]
    rows: Annotated[list[PathRow], means("every path with a student of its own, fewest TAs first (below)")]
    best: Annotated[int | None, means("number of the finalist of the highest mean validation accuracy")]
    cheapest: Annotated[int | None, means("number of the cheapest path within a seed spread of the best")]
