"""The content of ``report.json``, made from artifacts alone.

It is a stable interface (``schema.py``, docs/report.md). A run some of whose stages failed, or have not been done yet,
has a report of the rest.
"""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import cast

from orchestrator.artifacts import trials
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.pipeline.graph import Final, Plan, Stage
from orchestrator.pipeline.stage_state import UNFINISHED, StageState
from orchestrator.recipe.methods import BASELINE, REFERENCE, method_of
from orchestrator.recipe.plain_form import RecipeFields
from orchestrator.report import hypothesis_words
from orchestrator.report.content import reproduce, schema, significance, statistics, tested_strata
from orchestrator.report.content.measures import cost, experts_by_stratum, spent, versions, wall
from orchestrator.report.content.odd_images import odd_images
from orchestrator.report.content.statistics import ExpertFacts, mean
from orchestrator.report.markdown import methods_table
from orchestrator.report.words import hundredths, outcome, reach

VERSION = 1
LINE = 120  # characters of a line of the summary, where it is no terminal's
PLAIN = str.maketrans({"`": None, "\u00a0": " ", "\u2212": "-"})  # as every terminal shows it


def build(
    planned: Plan,
    store: Store,
    artifacts: dict[str, Artifact],
    reused: set[str],
    sizes: Sequence[Mapping[str, int]],
    states: dict[str, StageState] | None = None,
) -> schema.Report:
    """The content of ``report.json``.

    Args:
        artifacts: those that exist, by identity.
        reused: identities that existed before this run.
        sizes: parameters and multiply-adds of each network of the ladder, teacher first.
        states: state of each stage, by identity, while they are run.
    """
    stages = [stage_row(stage, artifacts.get(stage.identity), reused, states or {}) for stage in planned.stages]
    recipe = cast(RecipeFields, planned.recipe.model_dump(mode="json"))
    every = [_final(planned, final, artifacts) for final in planned.finals]
    students = without_cells(every)
    searches = {method: _search(planned, artifacts, method, store) for method in planned.searches}
    run: schema.RunFacts = {
        "id": planned.run_id, "name": planned.recipe.name, "written": time.time(),
        "complete": all(stage.identity in artifacts for stage in planned.stages),
        "expert_outputs": str(planned.source), "precision": planned.precision,
        "live": any(row["state"] in UNFINISHED for row in stages), "command": reproduce.command(recipe),
    }  # fmt: skip
    seeds: schema.Seeds = {
        "ladder": planned.recipe.ladder.all_seeds[0], "ladders": list(planned.recipe.ladder.all_seeds),
        "students": list(planned.recipe.seeds),
        "search": planned.recipe.search.seed, "dataset": planned.recipe.dataset.seed,
        "validation": planned.recipe.dataset.cut_seed,
    }  # fmt: skip
    return {
        "version": VERSION,
        "run": run,
        "recipe": recipe,
        "stages": stages,
        "warnings": warnings(planned, artifacts),
        "networks": _networks(planned, artifacts, sizes),
        "images": _images(artifacts.get(planned.stages[0].identity)),
        "methods": students,
        "search": _search(planned, artifacts, REFERENCE, store),
        "searches": searches,
        "difficulty": _difficulty(planned, artifacts),
        "coinciding": planned.coinciding,
        "experts_by_stratum": experts_by_stratum(planned, store, artifacts),
        "hypothesis": tested_strata.hypothesis(planned, store, artifacts, every, searches),
        "wall": wall(artifacts, planned),
        "spent": spent(artifacts, planned),
        "versions": versions(artifacts),
        "seeds": seeds,
        "capacity": [{"parameters": size["parameters"], "multiply_adds": size["multiply_adds"]} for size in sizes],
        "schedule": None,
        **derived(stages, students, searches),
    }


def without_cells(students: Sequence[schema.StudentRow]) -> list[schema.StudentRow]:
    """Returns the students of methods that are compared; those of cells measure the hypothesis alone."""
    return [row for row in students if method_of(row["method"]).stratum is None]


def derived(
    stages: list[schema.StageRow], students: list[schema.StudentRow], searches: dict[str, schema.Search]
) -> schema.Derived:
    """The parts that follow from others."""
    return {
        "comparisons": statistics.comparisons(students),
        "sensitivity": {
            method: statistics.sensitivity(search["trials"], [row for row in students if row["method"] == method])
            for method, search in searches.items()
        },
        "cost": cost(stages),
    }


def stage_row(
    stage: Stage, artifact: Artifact | None, reused: set[str], states: dict[str, StageState]
) -> schema.StageRow:
    """One entry of ``stages``. A stage with an artifact is done, whatever its last state was."""
    said = states.get(stage.identity)
    state = said.state if said else None
    if artifact:
        state = "kept" if stage.identity in reused else "done"
    unfinished = None if artifact else said
    return {
        "name": stage.name, "kind": stage.kind, "part": stage.facts.part, "id": stage.identity,
        "ladder_seed": stage.facts.ladder_seed,
        "reused": stage.identity in reused,
        "start": artifact.start if artifact else None, "end": artifact.end if artifact else None,
        "node": artifact.node if artifact else None, "slot_seconds": slot_seconds(artifact), "state": state,
        "status": unfinished.status if unfinished else "", "since": unfinished.since if unfinished else None,
        "error": unfinished.error if unfinished else None,
    }  # fmt: skip


def slot_seconds(artifact: Artifact | None) -> float | None:
    """Seconds of a stage's work, added up over workers and runs; None without it, or where an old version made it."""
    return artifact.slot_seconds if artifact else None


def warnings(planned: Plan, artifacts: dict[str, Artifact]) -> list[str]:
    """Oddities of the data set and defects of the experts, a sentence each, as soon as they are known."""
    data = artifacts.get(planned.stages[0].identity)
    if data is None:
        return []
    odd = odd_images(data.results)
    found = {expert.name: artifact for expert in planned.experts if (artifact := artifacts.get(expert.stage.identity))}
    experts = [
        ExpertFacts(name, item.results.get("validation_accuracy"), item.kind == "pretrained", item.kind == "snapshot")
        for name, item in found.items()
    ]
    brought = [artifact for artifact in found.values() if artifact.kind == "pretrained"]
    unlike = [text for artifact in brought for text in artifact.results.get("mismatches", ())]
    on_labels = [
        _final(planned, final, artifacts)["validation_accuracy"] for final in planned.finals if final.method == BASELINE
    ]
    student = None if None in on_labels else mean(on_labels)  # once all seeds are there: it is said once
    validation, classes = data.results["counts"]["validation"], planned.experts[0].network.classes
    return [*odd, *unlike, *statistics.expert_warnings(experts, student, validation, classes)]


def _images(ingested: Artifact | None) -> schema.Images:
    counts = ingested.results["counts"] if ingested else {}
    return {
        "train": counts.get("train"), "validation": counts.get("validation"), "test": counts.get("test"),
        "wrong_labels": counts.get("wrong_labels", 0 if ingested else None),  # not in artifacts of old versions
    }  # fmt: skip


def _networks(
    planned: Plan, artifacts: dict[str, Artifact], sizes: Sequence[Mapping[str, int]]
) -> list[schema.NetworkRow]:
    names = [network.name for network in planned.recipe.ladder.networks]
    size_of = dict(zip(names, sizes, strict=False))

    def row(
        name: str, network: str, role: schema.Role, results: Mapping[str, float | None], ladder_seed: int | None
    ) -> schema.NetworkRow:
        size = size_of.get(network, {})
        return {
            "name": name, "network": network, "role": role, "parameters": size.get("parameters"),
            "multiply_adds": size.get("multiply_adds"), "test_accuracy": results.get("test_accuracy"),
            "validation_accuracy": results.get("validation_accuracy"),
            "calibration_error": results.get("calibration_error"), "ladder_seed": ladder_seed,
        }  # fmt: skip

    rows, own = [], {expert.label for expert in planned.ladder}
    for expert in planned.experts:
        role: schema.Role = "ta" if expert.label in own else "ta of another topology"
        if expert.label == planned.ladder[0].label:
            role = "teacher"
        if expert.stage.kind == "snapshot":
            role = "snapshot"
        tested = artifacts.get(planned.evaluations[expert.name].identity)
        results = tested.results if tested else {}
        rows.append(row(expert.name, expert.network.name, role, results, expert.ladder_seed))
    # The student on labels alone; each method's stand under "methods".
    student = [_final(planned, final, artifacts) for final in planned.finals if final.method == BASELINE]
    validation = mean(row["validation_accuracy"] for row in student)
    test = mean(row["test_accuracy"] for row in student)
    calibration = mean(row["calibration_error"] for row in student)
    means = {"validation_accuracy": validation, "test_accuracy": test, "calibration_error": calibration}
    return [*rows, row(names[-1], names[-1], "student", means, None)]


def _final(planned: Plan, final: Final, artifacts: dict[str, Artifact]) -> schema.StudentRow:
    trained, tested = artifacts.get(final.train.identity), artifacts.get(final.evaluate.identity)
    results, measured = trained.results if trained else {}, tested.results if tested else {}
    # Both weights are of one step where there are no others.
    other_validation = results.get("other_validation_accuracy", results.get("validation_accuracy"))
    other_test = measured.get("other_test_accuracy", measured.get("test_accuracy"))
    # Measured beside every expert that the search could choose; artifacts of old versions do not name the chosen ones.
    fidelity, taught_with = measured.get("fidelity", {}), results.get("taught_with")
    if taught_with and "experts" in taught_with:
        shown = {*taught_with["experts"], planned.ladder[0].label}
        fidelity = {expert: found for expert, found in fidelity.items() if expert in shown}
    return {
        "method": final.method, "seed": final.seed, "ladder_seed": final.ladder_seed,
        "validation_accuracy": results.get("validation_accuracy"),
        "test_accuracy": measured.get("test_accuracy"), "other_validation_accuracy": other_validation,
        "other_test_accuracy": other_test, "kept_step": results.get("kept_step"),
        "calibration_error": measured.get("calibration_error"), "fidelity": fidelity,
        "steps": results.get("steps"),
        "artifact": final.train.identity, "weights_sha256": results.get("weights_sha256"),
        "taught_with": taught_with, "seconds": results.get("seconds"),
    }  # fmt: skip


def _search(planned: Plan, artifacts: dict[str, Artifact], method: str, store: Store | None = None) -> schema.Search:
    """A search's trials and the best of them; while it goes on, the trials so far, which ``store`` has."""
    stage = planned.searches.get(method)
    artifact = artifacts.get(stage.identity) if stage else None
    if artifact is None:
        so_far = trials.find_progress(store, stage.identity) if store and stage else []
        return {"trials": so_far, "best": None}
    return {"trials": artifact.results["trials"], "best": artifact.results["best"]}


def _difficulty(planned: Plan, artifacts: dict[str, Artifact]) -> schema.Difficulty:
    artifact = artifacts.get(planned.score.identity) if planned.score else None
    if artifact is None:
        return {}
    found = dict(artifact.results)
    if "severity_correlation" in found:  # undefined (NaN, which JSON can't say) where a difficulty is constant
        correlations = found["severity_correlation"].items()
        found["severity_correlation"] = {name: value if math.isfinite(value) else None for name, value in correlations}
    return cast(schema.Difficulty, found)


def summary(
    planned: Plan, artifacts: dict[str, Artifact], width: int | None = None, store: Store | None = None
) -> str:  # fmt: skip
    """The table that ends a run, no wider than ``width`` characters; with ``store``, the hypothesis' verdict too."""
    every = [_final(planned, final, artifacts) for final in planned.finals]
    students = without_cells(every)
    searches = {method: _search(planned, artifacts, method) for method in planned.searches}
    experts = ", ".join(
        f"{row['name']} {hundredths(row['test_accuracy'])}"
        for row in _networks(planned, artifacts, [])
        if row["role"] != "student"
    )
    student = planned.recipe.ladder.networks[-1].name
    lines = [
        "",
        f"Student {student}",
        methods_table(students, searches, width, planned.recipe.training.keep),
        f"experts' test accuracy (%): {experts}",
    ]
    main = significance.main_comparison(statistics.comparisons(students))
    if main:
        found = f"{'primary comparison: ' if main['primary'] else ''}{outcome(main)}"
        lines += [_filled(f"{text}.", width) for text in (found, reach(main)) if text]
    if statistics.baseline_leads(students):
        lines.append(f"No taught method beats {BASELINE}; the report's first answer says what to try.")
    measured = tested_strata.hypothesis(planned, store, artifacts, every, searches) if store else None
    if measured:
        lines += [_filled(text, width) for text in hypothesis_words.sentences(measured)]
    return "\n".join([*lines, *(f"warning: {text}" for text in warnings(planned, artifacts))])


def _filled(text: str, width: int | None) -> str:
    """Returns a sentence in lines of a terminal, without its marks."""
    return textwrap.fill(text.replace("**", ""), width or LINE, break_long_words=False).translate(PLAIN)
