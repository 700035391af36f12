"""The part ``hypothesis`` of ``report.json``, from the strata of the test images and the evaluations of students."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from orchestrator.artifacts.evaluated import read_right
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.strata import read_strata
from orchestrator.artifacts.trials import best_of
from orchestrator.pipeline.graph import Plan
from orchestrator.recipe.methods import BASELINE, REFERENCE, TEACHER_ALONE, cell_method, method_of, methods_of_experts
from orchestrator.recipe.search_space import SETTINGS
from orchestrator.report.content.hypothesis import (
    Accuracies,
    compared_with_diagonal,
    contrast_of,
    gain_of,
    gains,
    matrices,
)
from orchestrator.report.content.hypothesis_schema import ByCell, ByExpert, FoundTable, Hypothesis
from orchestrator.report.content.schema import Search, StudentRow
from orchestrator.report.content.statistics import mean
from orchestrator.report.files import read


def hypothesis(
    planned: Plan, store: Store, artifacts: Mapping[str, Artifact], students: Sequence[StudentRow],
    searches: Mapping[str, Search],
) -> Hypothesis | None:  # fmt: skip
    """Returns the measurement of the hypothesis, as far as it has results.

    None where the recipe neither asks for it nor searches a table, the expert of each stratum.

    Args:
        planned: the run.
        store: holds the artifacts' files.
        artifacts: those that exist, by identity.
        students: every final student.
        searches: by method.
    """
    asked, space = planned.recipe.hypothesis, planned.recipe.search.space
    tables = REFERENCE in searches and "table" in space.selectors
    if not (asked.matrix or asked.cells or tables):
        return None
    experts = [expert.label for expert in reversed(planned.ladder)]
    strata = _strata(planned, store, artifacts)
    by_method = {} if strata is None else _accuracies(planned, store, artifacts, strata)
    baseline = by_method.get(BASELINE, {})
    alone = methods_of_experts(experts)
    return {
        "experts": experts,
        "images": None if strata is None else np.bincount(strata, minlength=len(experts)).tolist(),
        "baseline": [mean(row) for row in zip(*baseline.values(), strict=True)] if baseline else None,
        "by_expert": _by_expert([by_method.get(name, {}) for name in alone], baseline),
        "others": {
            name: gains(found, baseline)
            for name, found in by_method.items()
            if baseline and name not in (BASELINE, *alone)
        },
        "by_cell": _by_cell(students, experts) if asked.cells else None,
        "found": _found(searches.get(REFERENCE), experts, space.table or experts),
    }


def _strata(planned: Plan, store: Store, artifacts: Mapping[str, Artifact]) -> npt.NDArray[np.uint8] | None:
    stage = planned.strata
    return read(store, stage.identity, read_strata) if stage and stage.identity in artifacts else None


def _accuracies(
    planned: Plan, store: Store, artifacts: Mapping[str, Artifact], strata: npt.NDArray[np.uint8]
) -> dict[str, Accuracies]:
    """Returns the accuracy on each stratum of the test images, by method and seed, of the students that are tested.

    Cells are left out: they are measured on all test images.
    """
    members = [strata == place for place in range(len(planned.ladder))]
    found: dict[str, dict[int, list[float]]] = {}
    for final in planned.finals:
        right = None
        if final.evaluate.identity in artifacts and method_of(final.method).stratum is None:
            right = read(store, final.evaluate.identity, read_right)
        if right is not None:
            shares = [float(right[these].mean()) for these in members]
            found.setdefault(final.method, {})[final.seed] = shares
    return dict(found)


def _by_expert(experts: Sequence[Accuracies], baseline: Accuracies) -> ByExpert | None:
    if not baseline or not any(experts):
        return None
    columns = [gains(taught, baseline) for taught in experts]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return {"gains": rows, "contrast": contrast_of(matrices(experts, baseline))}


def _by_cell(students: Sequence[StudentRow], experts: Sequence[str]) -> ByCell | None:
    """Returns the gains of the cells' students over those of the teacher alone, in rows by stratum of training."""
    test: dict[str, dict[int, float]] = {}
    for row in students:
        if row["test_accuracy"] is not None:
            test.setdefault(row["method"], {})[row["seed"]] = row["test_accuracy"]
    whole = test.get(TEACHER_ALONE, {})
    if not whole:
        return None
    *assistants, _ = experts

    def of_cell(stratum: int, expert: str) -> dict[int, float]:
        return test.get(cell_method(stratum, expert), {}) if expert in assistants else whole

    cells = [[of_cell(stratum, expert) for stratum in range(len(experts))] for expert in experts]
    columns: list[Accuracies] = [
        {seed: [cell[seed] for cell in column] for seed in whole if all(seed in cell for cell in column)}
        for column in cells
    ]
    baseline = {seed: [accuracy] * len(experts) for seed, accuracy in whole.items()}
    rows = [
        [gain_of([cell[seed] - whole[seed] for seed in whole if seed in cell]) for cell in row]
        for row in zip(*cells, strict=True)
    ]
    return {"gains": rows, "contrast": contrast_of(matrices(columns, baseline))}


def _found(search: Search | None, experts: Sequence[str], alternatives: Sequence[str]) -> FoundTable | None:
    """Returns the table of the best trial that has one; None until the search is done."""
    names = SETTINGS["table"].names(len(experts))
    trials = search["trials"] if search and search["best"] else ()
    best = best_of(trial for trial in trials if all(name in trial["config"] for name in names))
    if best is None:
        return None
    return compared_with_diagonal([str(best["config"][name]) for name in names], experts, alternatives)
