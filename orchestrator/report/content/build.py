"""The content of ``report.json``, made from artifacts alone.

It is a stable interface, described in docs/report.md. A run some of whose stages failed, or have not been done yet,
has a report of the rest.
"""

from __future__ import annotations

import math
import time
from typing import Any

from orchestrator.artifacts import trials
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.pipeline.graph import Expert, Final, Plan, Stage
from orchestrator.pipeline.stage_state import UNFINISHED, StageState
from orchestrator.recipe.methods import BASELINE, REFERENCE
from orchestrator.report.content import reproduce, statistics
from orchestrator.report.content.measures import cost, experts_by_stratum, spent, versions, wall
from orchestrator.report.markdown import mean, methods_table, percent

VERSION = 1


def build(
    planned: Plan,
    store: Store,
    artifacts: dict[str, Artifact],
    reused: set[str],
    sizes: list[dict[str, int]],
    states: dict[str, StageState] | None = None,
) -> dict[str, Any]:
    """The content of ``report.json``.

    Args:
        artifacts: those that exist, by identity.
        reused: identities that existed before this run.
        sizes: parameters and multiply-adds of each network of the ladder, teacher first.
        states: how far each stage is, by identity, from whoever runs them.
    """
    stages = [stage_row(stage, artifacts.get(stage.identity), reused, states or {}) for stage in planned.stages]
    recipe = planned.recipe.model_dump(mode="json")
    content = {
        "version": VERSION,
        "run": {
            "id": planned.run_id,
            "name": planned.recipe.name,
            "written": time.time(),
            "complete": all(stage.identity in artifacts for stage in planned.stages),
            "expert_outputs": str(planned.source),
            "precision": planned.precision,
            "live": any(row["state"] in UNFINISHED for row in stages),
            "command": reproduce.command(recipe),
        },
        "recipe": recipe,
        "stages": stages,
        "warnings": warnings(planned, artifacts),
        "networks": _networks(planned, artifacts, sizes),
        "methods": [_final(final, artifacts) for final in planned.finals],
        "search": _search(planned, artifacts, REFERENCE, store),
        "searches": {method: _search(planned, artifacts, method, store) for method in planned.searches},
        "difficulty": _difficulty(planned, artifacts),
        "coinciding": planned.coinciding,
        "experts_by_stratum": experts_by_stratum(planned, store, artifacts),
        "wall": wall(artifacts, planned),
        "spent": spent(artifacts, planned),
        "versions": versions(artifacts),
        "seeds": {
            "ladder": planned.recipe.ladder.seed,
            "students": list(planned.recipe.seeds),
            "search": planned.recipe.search.seed,
            "dataset": planned.recipe.dataset.seed,
        },
    }
    return content | derived(content)


def derived(content: dict[str, Any]) -> dict[str, Any]:
    """The parts that follow from other parts of the content."""
    methods = content["methods"]
    return {
        "comparisons": statistics.comparisons(methods),
        "sensitivity": {
            method: statistics.sensitivity(search["trials"], [row for row in methods if row["method"] == method])
            for method, search in content["searches"].items()
        },
        "cost": cost(content["stages"]),
    }


# -- parts -------------------------------------------------------------------------------------------------------


def stage_row(
    stage: Stage, artifact: Artifact | None, reused: set[str], states: dict[str, StageState]
) -> dict[str, Any]:
    """One entry of ``stages``. What is committed is done, whatever was last said of it."""
    said = states.get(stage.identity)
    state: str | None = said.state if said else None
    if artifact:
        state = "kept" if stage.identity in reused else "done"
    return {
        "name": stage.name,
        "kind": stage.kind,
        "part": stage.facts.part,
        "id": stage.identity,
        "reused": stage.identity in reused,
        "start": artifact.start if artifact else None,
        "end": artifact.end if artifact else None,
        "node": artifact.node if artifact else None,
        "slot_seconds": slot_seconds(artifact),
        "state": state,
        "status": said.status if said and not artifact else "",
        "since": said.since if said and not artifact else None,
        "error": said.error if said and not artifact else None,
    }


def slot_seconds(artifact: Artifact | None) -> float | None:
    """What a stage took, added up over its workers; None where it is not there or an old version made it."""
    return artifact.results.get("cost", {}).get("slot_seconds") if artifact else None


def warnings(planned: Plan, artifacts: dict[str, Artifact]) -> list[str]:
    """What is known to be wrong with the experts, a sentence each, as soon as they are there."""
    data = artifacts.get(planned.stages[0].identity)
    if data is None:
        return []
    experts = [
        {
            "name": expert.label,
            "validation_accuracy": artifact.results.get("validation_accuracy"),
            "brought": artifact.kind == "pretrained",
        }
        for expert in (*planned.ladder, *planned.others)
        if (artifact := artifacts.get(expert.stage.identity))
    ]
    on_labels = [
        _final(final, artifacts)["validation_accuracy"] for final in planned.finals if final.method == "labels"
    ]
    student = None if None in on_labels else mean(on_labels)  # once all seeds are there: it is said once
    return statistics.expert_warnings(
        experts, student, data.results["counts"]["validation"], planned.ladder[0].network.classes
    )


def _networks(planned: Plan, artifacts: dict[str, Artifact], sizes: list[dict[str, int]]) -> list[dict[str, Any]]:
    names = [network.name for network in planned.recipe.ladder.networks]
    size_of = dict(zip(names, sizes, strict=False))
    rows = []
    for position, expert in enumerate((*planned.ladder, *planned.others)):
        role = "teacher" if position == 0 else "ta" if position < len(planned.ladder) else "ta of another topology"
        rows.append(_network(expert, role, planned, artifacts, size_of))
    student = [_final(final, artifacts) for final in planned.finals if final.method == BASELINE]
    rows.append(
        {
            "name": names[-1],
            "network": names[-1],
            "role": "student",
            **size_of.get(names[-1], {"parameters": None, "multiply_adds": None}),
            # The student on labels alone; how each method does stands under "methods".
            "validation_accuracy": mean(row["validation_accuracy"] for row in student),
            "test_accuracy": mean(row["test_accuracy"] for row in student),
        }
    )
    return rows


def _network(
    expert: Expert, role: str, planned: Plan, artifacts: dict[str, Artifact], size_of: dict[str, dict[str, int]]
) -> dict[str, Any]:
    tested = artifacts.get(planned.evaluations[expert.label].identity)
    return {
        "name": expert.label,
        "network": expert.network.name,
        "role": role,
        **size_of.get(expert.network.name, {"parameters": None, "multiply_adds": None}),
        "validation_accuracy": tested.results["validation_accuracy"] if tested else None,
        "test_accuracy": tested.results["test_accuracy"] if tested else None,
    }


def _final(final: Final, artifacts: dict[str, Artifact]) -> dict[str, Any]:
    trained, tested = artifacts.get(final.train.identity), artifacts.get(final.evaluate.identity)
    results = trained.results if trained else {}
    return {
        "method": final.method,
        "seed": final.seed,
        "validation_accuracy": results.get("validation_accuracy"),
        "test_accuracy": tested.results["test_accuracy"] if tested else None,
        "steps": results.get("steps"),
        "artifact": final.train.identity,
        "weights_sha256": results.get("weights_sha256"),
        "taught_with": results.get("taught_with"),
        "seconds": results.get("seconds"),
    }


def _search(planned: Plan, artifacts: dict[str, Artifact], method: str, store: Store | None = None) -> dict[str, Any]:
    """A search's trials and the best of them; while it goes on, the trials so far, which ``store`` has."""
    stage = planned.searches.get(method)
    artifact = artifacts.get(stage.identity) if stage else None
    if artifact is None:
        return {"trials": trials.find_progress(store, stage.identity) if store and stage else [], "best": None}
    return {"trials": artifact.results["trials"], "best": artifact.results["best"]}


def _difficulty(planned: Plan, artifacts: dict[str, Artifact]) -> dict[str, Any]:
    artifact = artifacts.get(planned.score.identity) if planned.score else None
    if artifact is None:
        return {}
    found = dict(artifact.results)
    if "severity_correlation" in found:  # undefined (NaN, which JSON can't say) where a difficulty is constant
        correlations = found["severity_correlation"].items()
        found["severity_correlation"] = {name: value if math.isfinite(value) else None for name, value in correlations}
    return found


def summary(planned: Plan, artifacts: dict[str, Artifact], width: int | None = None) -> str:
    """The table that ends a run, no wider than ``width`` characters."""
    content: dict[str, Any] = {
        "methods": [_final(final, artifacts) for final in planned.finals],
        "searches": {method: _search(planned, artifacts, method) for method in planned.searches},
    }
    experts = ", ".join(
        f"{row['name']} {percent(row['test_accuracy'])}"
        for row in _networks(planned, artifacts, [])
        if row["role"] != "student"
    )
    student = planned.recipe.ladder.networks[-1].name
    lines = ["", f"Student {student}", methods_table(content, width), f"experts' test accuracy (%): {experts}"]
    if statistics.baseline_leads(content["methods"]):
        lines.append(f"No taught method beats {BASELINE}; the report's first answer says what to try.")
    return "\n".join([*lines, *(f"warning: {text}" for text in warnings(planned, artifacts))])
