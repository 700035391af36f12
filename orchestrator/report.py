"""The report of a run, made from artifacts alone: ``report.json`` and ``report.md``.

``report.json`` is a stable interface, described in docs/report.md. Imports neither
torch nor ray. A run some of whose stages failed has a report of the rest.
"""

from __future__ import annotations

import io
import json
import math
import time
from typing import Any

import numpy as np

from orchestrator.artifacts import Artifact, Store
from orchestrator.graph import Expert, Final, Plan
from orchestrator.report_text import markdown, mean, methods_table, percent

VERSION = 1


def build(
    planned: Plan, store: Store, artifacts: dict[str, Artifact], reused: set[str], sizes: list[dict[str, int]]
) -> dict[str, Any]:
    """The content of ``report.json``.

    Args:
        artifacts: those that exist, by identity.
        reused: identities that existed before this run.
        sizes: parameters and multiply-adds of each network of the ladder, teacher first.
    """
    return {
        "version": VERSION,
        "run": {
            "id": planned.run_id,
            "name": planned.recipe.name,
            "written": time.time(),
            "complete": all(stage.identity in artifacts for stage in planned.stages),
            "expert_outputs": planned.source_reason,
        },
        "recipe": planned.recipe.model_dump(mode="json"),
        "stages": [_stage(stage.name, stage.kind, stage.identity, artifacts, reused) for stage in planned.stages],
        "networks": _networks(planned, artifacts, sizes),
        "methods": [_final(final, artifacts) for final in planned.finals],
        "search": _search(planned, artifacts, "ces_kd"),
        "searches": {method: _search(planned, artifacts, method) for method in planned.searches},
        "difficulty": _difficulty(planned, artifacts),
        "experts_by_stratum": _experts_by_stratum(planned, store, artifacts),
        "wall": _wall(artifacts, planned),
        "spent": _spent(artifacts, planned),
        "versions": _versions(artifacts),
        "seeds": {
            "ladder": planned.recipe.ladder.seed,
            "students": list(planned.recipe.seeds),
            "search": planned.recipe.search.seed,
            "dataset": planned.recipe.dataset.seed,
        },
    }


def write(
    planned: Plan,
    store: Store,
    artifacts: dict[str, Artifact],
    reused: set[str],
    sizes: list[dict[str, int]] | None = None,
    timing: dict[str, Any] | None = None,
) -> str:
    """Write the report's files, and the run's id into ``reports/latest``; gives the folder.

    ``sizes`` and ``timing`` (``schedule.py``) stay those of the report before where nothing was run.
    """
    text = store.read_text("reports", planned.run_id, "report.json")
    before = json.loads(text) if text else {}
    if sizes is None:
        sizes = before.get("capacity", [])
    content = build(planned, store, artifacts, reused, sizes)
    content |= {"capacity": sizes, "schedule": timing or before.get("schedule")}
    store.write_text(json.dumps(content, indent=1), "reports", planned.run_id, "report.json")
    store.write_text(markdown(content), "reports", planned.run_id, "report.md")
    store.write_text(planned.run_id, "reports", "latest")
    return store.path("reports", planned.run_id)


# -- parts -------------------------------------------------------------------------------------------------------


def _stage(name: str, kind: str, identity: str, artifacts: dict[str, Artifact], reused: set[str]) -> dict[str, Any]:
    artifact = artifacts.get(identity)
    return {
        "name": name,
        "kind": kind,
        "id": identity,
        "reused": identity in reused,
        "start": artifact.start if artifact else None,
        "end": artifact.end if artifact else None,
        "node": artifact.node if artifact else None,
    }


def _networks(planned: Plan, artifacts: dict[str, Artifact], sizes: list[dict[str, int]]) -> list[dict[str, Any]]:
    names = [network.name for network in planned.recipe.ladder.networks]
    size_of = dict(zip(names, sizes, strict=False))
    rows = []
    for position, expert in enumerate((*planned.ladder, *planned.others)):
        role = "teacher" if position == 0 else "ta" if position < len(planned.ladder) else "ta of another topology"
        rows.append(_network(expert, role, planned, artifacts, size_of))
    student = [_final(final, artifacts) for final in planned.finals if final.method == "labels"]
    rows.append(
        {
            "name": names[-1],
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


def _search(planned: Plan, artifacts: dict[str, Artifact], method: str) -> dict[str, Any]:
    stage = planned.searches.get(method)
    artifact = artifacts.get(stage.identity) if stage else None
    if artifact is None:
        return {"trials": [], "best": None}
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


def _experts_by_stratum(planned: Plan, store: Store, artifacts: dict[str, Artifact]) -> dict[str, Any]:
    """For each curriculum method: share of each stratum's images (rows, easiest first) that each expert taught."""
    experts = [expert.label for expert in reversed(planned.ladder)]
    found: dict[str, Any] = {"experts": experts, "methods": {}}
    for method in ("ces_kd", "ces_random", "ces_reversed"):
        counts = [
            _array(store, final.train.identity, "taught.npy")
            for final in planned.finals
            if final.method == method and final.train.identity in artifacts
        ]
        if counts:
            total = np.sum(counts, axis=0).astype(float)
            shares = total / np.maximum(total.sum(axis=1, keepdims=True), 1)
            found["methods"][method] = [[round(float(share), 4) for share in row] for row in shares]
    return found


def _array(store: Store, identity: str, name: str) -> Any:
    with store.filesystem.open_input_stream(f"{store.folder(identity)}/{name}") as stream:
        return np.load(io.BytesIO(stream.read()))


def _wall(artifacts: dict[str, Artifact], planned: Plan) -> dict[str, Any]:
    """Seconds of work, seconds from first to last, and how many stages ran at once on average.

    Stages kept from an earlier run count with the time of the work that made them.
    """
    spans = [(item.start, item.end) for stage in planned.stages if (item := artifacts.get(stage.identity))]
    if not spans:
        return {"work_seconds": 0.0, "busy_seconds": 0.0, "overlap": 0.0}
    work = sum(end - start for start, end in spans)
    busy, reached = 0.0, 0.0
    for start, end in sorted(spans):
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return {"work_seconds": work, "busy_seconds": busy, "overlap": work / busy if busy else 0.0}


def _spent(artifacts: dict[str, Artifact], planned: Plan) -> dict[str, dict[str, float]]:
    """Seconds of all trainings by what they were spent on: networks of the ladder, and students."""
    found: dict[str, dict[str, float]] = {"ladder": {}, "students": {}}
    for stage in planned.stages:
        artifact = artifacts.get(stage.identity)
        if stage.kind == "train" and artifact:
            sums = found["ladder" if stage.settings["role"] == "ladder" else "students"]
            for doing, seconds in artifact.results["spent"].items():
                sums[doing] = sums.get(doing, 0.0) + seconds
    return found


def _versions(artifacts: dict[str, Artifact]) -> dict[str, Any]:
    """Versions that the artifacts were made with; a list where they differ."""
    found: dict[str, set[str]] = {}
    for artifact in artifacts.values():
        for package, number in artifact.versions.items():
            found.setdefault(package, set()).add(number)
    return {name: min(numbers) if len(numbers) == 1 else sorted(numbers) for name, numbers in sorted(found.items())}


def summary(planned: Plan, artifacts: dict[str, Artifact]) -> str:
    """The table that ends a run."""
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
    return f"\nStudent {student}\n{methods_table(content)}\nexperts' test accuracy (%): {experts}"
