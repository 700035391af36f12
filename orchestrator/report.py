"""The report of a run, made from artifacts alone: ``report.json`` and ``report.md``.

``report.json`` is a stable interface, described in docs/report.md. Imports neither
torch nor ray. A run some of whose stages failed has a report of the rest.
"""

from __future__ import annotations

import io
import json
import math
import statistics
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from orchestrator.artifacts import Artifact, Store
from orchestrator.graph import Expert, Final, Plan
from orchestrator.recipe import Method

VERSION = 1
METHOD_WORDS: dict[Method, str] = {
    "labels": "labels alone",
    "kd": "the teacher",
    "kd_smallest": "the smallest TA",
    "takd": "the smallest TA of a sequential chain",
    "dgkd": "all experts at once, TAs by all larger networks",
    "dgkd_stochastic": "as dgkd, experts dropped at random",
    "ces_kd": "one expert an image, by difficulty",
    "ces_random": "control: the same experts, dealt at random",
    "ces_reversed": "control: the same experts, hardest images to the smallest",
}


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
) -> str:
    """Write the report's files, and the run's id into ``reports/latest``; gives the folder."""
    if sizes is None:
        before = store.read_text("reports", planned.run_id, "report.json")
        sizes = json.loads(before)["capacity"] if before else []
    content = build(planned, store, artifacts, reused, sizes) | {"capacity": sizes}
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
            "validation_accuracy": _mean(row["validation_accuracy"] for row in student),
            "test_accuracy": _mean(row["test_accuracy"] for row in student),
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


def _versions(artifacts: dict[str, Artifact]) -> dict[str, Any]:
    """Versions that the artifacts were made with; a list where they differ."""
    found: dict[str, set[str]] = {}
    for artifact in artifacts.values():
        for package, number in artifact.versions.items():
            found.setdefault(package, set()).add(number)
    return {name: min(numbers) if len(numbers) == 1 else sorted(numbers) for name, numbers in sorted(found.items())}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


# -- words -------------------------------------------------------------------------------------------------------


def method_rows(methods: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a method, in recipe order: mean, sample standard deviation and values of the test accuracy over seeds.

    A seed whose student is missing counts in neither, and has None for its value.
    """
    rows = []
    for method in dict.fromkeys(row["method"] for row in methods):
        mine = [row for row in methods if row["method"] == method]
        test = [row["test_accuracy"] for row in mine if row["test_accuracy"] is not None]
        validation = [row["validation_accuracy"] for row in mine if row["validation_accuracy"] is not None]
        rows.append(
            {
                "method": method,
                "test_mean": _mean(test),
                "test_spread": statistics.stdev(test) if len(test) > 1 else None,
                "test": [row["test_accuracy"] for row in mine],
                "validation_mean": _mean(validation),
                "seeds": [row["seed"] for row in mine],
            }
        )
    return rows


def percent(value: float | None) -> str:
    """An accuracy in [0, 1] as per cent."""
    return "-" if value is None else f"{100 * value:.2f}"


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table whose columns also line up as plain text."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(header), 3, *(len(row[i]) for row in cells)) for i, header in enumerate(headers)]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"  # noqa: E731
    return "\n".join([line(headers), line(["-" * width for width in widths]), *map(line, cells)])


def _methods_table(content: dict[str, Any]) -> str:
    rows = []
    for row in method_rows(content["methods"]):
        spread = "-" if row["test_spread"] is None else percent(row["test_spread"])
        trials = len(_budget(content, row["method"]))
        rows.append(
            [
                row["method"], percent(row["test_mean"]), spread, ", ".join(percent(value) for value in row["test"]),
                percent(row["validation_mean"]), trials, METHOD_WORDS[row["method"]],
            ]
        )  # fmt: skip
    return table(["method", "test %", "± seeds", "each seed", "validation %", "trials", "taught by"], rows)


def _budget(content: dict[str, Any], method: str) -> list[Any]:
    """The trials whose outcome chose a method's settings."""
    searched = "ces_kd" if method.startswith("ces_") else method
    return content["searches"].get(searched, {"trials": []})["trials"]


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
    return f"\nStudent {student}\n{_methods_table(content)}\nexperts' test accuracy (%): {experts}"


def markdown(content: dict[str, Any]) -> str:
    """``report.md``."""
    run, parts = content["run"], []
    parts.append(
        f"# {run['name']}\n\nRun `{run['id']}`{'' if run['complete'] else ' (not complete: some stages failed)'}."
    )
    parts.append(
        "## Methods\n\nTest accuracy of the final student, in per cent: mean over seeds, sample standard deviation "
        "over seeds, each seed's value. Validation accuracy chose the weights; the test set was used once for each "
        "student. `trials` is how many trials of a search chose the method's settings.\n\n" + _methods_table(content)
    )
    parts.append(
        "## Networks\n\nThe student's row is the student taught by labels alone.\n\n"
        + table(
            ["network", "role", "parameters", "multiply-adds", "validation %", "test %"],
            [
                [
                    row["name"],
                    row["role"],
                    _count(row["parameters"]),
                    _count(row["multiply_adds"]),
                    percent(row["validation_accuracy"]),
                    percent(row["test_accuracy"]),
                ]
                for row in content["networks"]
            ],
        )
    )
    for method, search in content["searches"].items():
        parts.append(_search_part(method, search))
    if content["difficulty"]:
        parts.append(_difficulty_part(content))
    if content["experts_by_stratum"]["methods"]:
        parts.append(_strata_part(content["experts_by_stratum"]))
    wall = content["wall"]
    parts.append(
        f"## Stages\n\n{wall['work_seconds']:.0f} s of work in {wall['busy_seconds']:.0f} s with at least one stage at "
        f"work: {wall['overlap']:.2f} stages at once. Times are those of the work that made the artifact; seconds "
        f"count from the first start.\n\n" + _stages_table(content["stages"])
    )
    again = "\n".join(f"- {name}: {value}" for name, value in content["seeds"].items())
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    parts.append(
        f"## To have it again\n\nThe resolved recipe stands in `report.json`. Seeds:\n\n{again}\n\n"
        f"Versions: {versions}."
    )
    return "\n\n".join(parts) + "\n"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _search_part(method: str, search: dict[str, Any]) -> str:
    best = search["best"]
    if best is None:
        return f"## Search for {method}\n\nNot finished."
    ranked = sorted(search["trials"], key=lambda trial: -(trial["validation_accuracy"] or 0))
    settings = ", ".join(f"{key} {value}" for key, value in best["config"].items())
    return (
        f"## Search for {method}\n\nBest of {len(search['trials'])} trials by validation accuracy: {settings}.\n\n"
        + table(
            ["trial", "validation %", "steps", "status", "settings"],
            [
                [
                    trial["id"],
                    percent(trial["validation_accuracy"]),
                    trial["steps"],
                    trial["status"],
                    ", ".join(f"{key} {value}" for key, value in trial["config"].items()),
                ]
                for trial in ranked
            ],
        )
    )


def _difficulty_part(content: dict[str, Any]) -> str:
    difficulty = content["difficulty"]
    text = f"## Difficulty\n\nImages are ordered by `{content['recipe']['difficulty']['scorer']}`."
    right = ", ".join(f"{name} {percent(share)}" for name, share in difficulty["experts_right"].items())
    text += f" Experts right on the training images (%): {right}."
    if "severity_correlation" in difficulty:
        rows = sorted(difficulty["severity_correlation"].items(), key=lambda item: -(item[1] or 0))
        text += "\n\nRank correlation of each difficulty with the known severity of the images:\n\n"
        shown = [[name, "-" if value is None else f"{value:.3f}"] for name, value in rows]
        text += table(["difficulty", "correlation"], shown)
    return text


def _strata_part(strata: dict[str, Any]) -> str:
    parts = [
        "## Experts by stratum\n\nShare of each stratum's images that each expert taught, over all steps and seeds."
    ]
    count = len(strata["experts"])
    for method, shares in strata["methods"].items():
        rows = [
            [f"{number + 1}{' (easiest)' if number == 0 else ' (hardest)' if number == count - 1 else ''}",
             *(f"{100 * share:.1f}" for share in row)]
            for number, row in enumerate(shares)
        ]  # fmt: skip
        parts.append(f"`{method}`:\n\n" + table(["stratum", *(f"{name} %" for name in strata["experts"])], rows))
    return "\n\n".join(parts)


def _stages_table(stages: Sequence[dict[str, Any]]) -> str:
    first = min((stage["start"] for stage in stages if stage["start"]), default=0.0)
    return table(
        ["stage", "from (s)", "to (s)", "seconds", "node", ""],
        [
            [stage["name"], f"{stage['start'] - first:.1f}", f"{stage['end'] - first:.1f}",
             f"{stage['end'] - stage['start']:.1f}", stage["node"], "kept" if stage["reused"] else ""]
            if stage["start"]
            else [stage["name"], "-", "-", "-", "-", "missing"]
            for stage in stages
        ],
    )  # fmt: skip
