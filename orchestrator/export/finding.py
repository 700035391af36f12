"""Which network is exported: a run's report, the student or expert that is meant, and its artifacts. No torch here."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.artifacts import Artifact, Store
from orchestrator.methods import METHODS
from orchestrator.report.reading import read
from orchestrator.report.text import percent
from orchestrator.specs import NetworkSpec
from orchestrator.wording import nearest


class ExportError(ValueError):
    """What was asked for can't be exported; the message says what was found and what to do."""


@dataclass(frozen=True)
class Run:
    """A run by its report; ``report`` is the content of ``report.json`` (docs/report.md)."""

    id: str
    store: Store
    report: dict[str, Any]

    @cached_property
    def data(self) -> Artifact:
        """The images. Raises ExportError when they are missing or damaged."""
        return _artifact(self, _identity(self, "ingest"), "the images")

    @cached_property
    def about_data(self) -> dict[str, Any]:
        """What ``dataset.json`` of the images says: layout, shape, classes and their names, counts, mean, std."""
        content: dict[str, Any] = json.loads((self.store.fetch(self.data) / "dataset.json").read_text())
        return content

    @cached_property
    def teacher(self) -> Chosen:
        """The largest network of the ladder. Raises ExportError as ``find_expert``."""
        return find_expert(self, self.report["networks"][0]["name"])


@dataclass(frozen=True)
class Chosen:
    """A trained network of a run. ``why`` says, as a clause, how it came to be chosen; ``row`` is its report entry.

    ``method`` and ``seed`` are None for an expert.
    """

    name: str
    network: NetworkSpec
    artifact: Artifact
    row: dict[str, Any]
    why: str
    method: str | None = None
    seed: int | None = None


def open_run(store: Store, name: str | None) -> Run:
    """The run of this name, or the one that ``reports/latest`` names.

    Raises:
        StorageError: when there is no such run, or its report can't be read.
    """
    content = read(store, name)
    return Run(name or content["run"]["id"], store, content)


def find_student(run: Run, method: str | None = None, seed: int | None = None) -> Chosen:
    """A final student; without a method or seed the best on validation, never on test.

    The method is that of the highest mean validation accuracy over its seeds, the seed that of the highest validation
    accuracy; of equals the one that the recipe names first.

    Raises:
        ExportError: when there is no such method or seed, or its artifact is missing or damaged.
    """
    rows = [row for row in run.report["methods"] if row["validation_accuracy"] is not None]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    if not methods:
        raise ExportError(f"run '{run.id}' has no finished student; the same run command finishes it")
    reasons = []
    if method is None:
        means = {name: statistics.fmean(_validation(rows, name)) for name in methods}
        method = max(means, key=lambda name: means[name])
        reasons.append(f"best mean validation accuracy of {len(methods)} methods, {percent(means[method])} %")
    elif method not in methods:
        raise ExportError(
            f"method '{method}' is not in run '{run.id}'{nearest(method, methods)}; {_there_are(methods)}"
        )
    seeds = [row["seed"] for row in rows if row["method"] == method]
    if seed is None:
        best = max(_validation(rows, method))
        seed = seeds[_validation(rows, method).index(best)]
        reasons.append(f"the best of its {len(seeds)} seeds on validation, {percent(best)} %")
    elif seed not in seeds:
        raise ExportError(f"seed {seed} is not among method '{method}' of run '{run.id}'; {_there_are(seeds)}")
    row = next(row for row in rows if (row["method"], row["seed"]) == (method, seed))
    artifact = _artifact(run, row["artifact"], f"student {method}, seed {seed}")
    network = NetworkSpec.from_plain(artifact.spec["network"])
    return Chosen(network.name, network, artifact, row, "; ".join(reasons) or "as asked for", method, seed)


def find_expert(run: Run, name: str) -> Chosen:
    """An expert of the ladder by the name that the report gives it.

    Raises:
        ExportError: when there is no such expert, or its artifact is missing or damaged.
    """
    rows = {row["name"]: row for row in run.report["networks"] if row["role"] != "student"}
    if name not in rows:
        raise ExportError(
            f"expert '{name}' is not in run '{run.id}'{nearest(name, list(rows))}; {_there_are(list(rows))}"
        )
    artifact = _artifact(run, _identity(run, f"train/{name}", f"pretrained/{name}"), f"expert {name}")
    network = NetworkSpec.from_plain(artifact.spec["network"])
    return Chosen(name, network, artifact, rows[name], "as asked for")


def default_folder(run: Run, chosen: Chosen) -> Path:
    """Where the files go unless a person says otherwise."""
    leaf = chosen.name if chosen.method is None else f"{chosen.method}-seed{chosen.seed}"
    return Path("exports", run.id, leaf.replace(":", "-"))


def method_words(method: str) -> str:
    """What a method is, as the report's tables say it."""
    return METHODS[method].taught_by


def _validation(rows: Sequence[dict[str, Any]], method: str) -> list[float]:
    return [row["validation_accuracy"] for row in rows if row["method"] == method]


def _identity(run: Run, *names: str) -> str:
    return next(stage["id"] for stage in run.report["stages"] if stage["name"] in names)


def _artifact(run: Run, identity: str, what: str) -> Artifact:
    artifact = run.store.find(identity)
    if artifact is None:
        raise ExportError(f"{what}: artifact {identity} is not in the storage; the same run command makes it again")
    damaged = run.store.damaged_files(artifact)
    if damaged:
        raise ExportError(
            f"{what}: {', '.join(damaged)} of artifact {identity} does not match its checksum; "
            "the same run command makes it again"
        )
    return artifact


def _there_are(known: Sequence[object]) -> str:
    return f"there {'is' if len(known) == 1 else 'are'}: {', '.join(map(str, known))}"
