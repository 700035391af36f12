"""Which network is exported: a run's report, the student or expert that is meant, and its artifacts. No torch here."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.artifacts import dataset
from orchestrator.artifacts.dataset import DatasetAbout
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.errors import UserError
from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.recipe.messages import nearest
from orchestrator.recipe.methods import METHODS
from orchestrator.report.markdown import percent
from orchestrator.report.reading import read


class ExportError(UserError):
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
        return _artifact(self, _stage(self, "ingest")["id"], "the images")

    @cached_property
    def about_data(self) -> DatasetAbout:
        """The description of the images."""
        return dataset.read_about(FolderFiles(self.store.fetch(self.data)))

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
    accuracy; of equals the one that the recipe names first. Students that are not finished are left out, and named.

    Raises:
        ExportError: when there is no such method or seed, it is not finished, or its artifact is missing or damaged.
    """
    planned = run.report["methods"]
    rows = [row for row in planned if row["validation_accuracy"] is not None]
    unfinished = [row for row in planned if row["validation_accuracy"] is None]
    missing = _students_words(unfinished, planned)
    methods, known = _methods(rows), _methods(planned)
    if not methods:
        raise ExportError(
            f"run '{run.id}' has no finished student (missing: {missing}); the same run command finishes it"
        )
    reasons = []
    if method is None:
        means = {name: statistics.fmean(_validation(rows, name)) for name in methods}
        method = max(means, key=lambda name: means[name])
        reasons.append(f"best mean validation accuracy of {counted(methods, 'method')}, {percent(means[method])} %")
    elif method not in known:
        raise ExportError(f"method '{method}' is not in run '{run.id}'{nearest(method, known)}; {_there_are(known)}")
    elif method not in methods:
        raise ExportError(
            f"method '{method}' of run '{run.id}' is not finished; the same run command finishes it. "
            f"Finished: {', '.join(methods)}; missing: {missing}"
        )
    seeds = _seeds(rows, method)
    if seed is None:
        best = max(_validation(rows, method))
        seed = seeds[_validation(rows, method).index(best)]
        reasons.append(f"the best of its {counted(seeds, 'seed')} on validation, {percent(best)} %")
    elif seed not in _seeds(planned, method):
        raise ExportError(
            f"seed {seed} is not among method '{method}' of run '{run.id}'; {_there_are(_seeds(planned, method))}"
        )
    elif seed not in seeds:
        raise ExportError(
            f"seed {seed} of method '{method}' of run '{run.id}' is not finished; the same run command finishes it. "
            f"Finished: {', '.join(map(str, seeds))}"
        )
    if reasons and missing:
        reasons.append(f"not finished, so not compared: {missing}")
    row = next(row for row in rows if (row["method"], row["seed"]) == (method, seed))
    artifact = _artifact(run, row["artifact"], f"student {method}, seed {seed}")
    network = NetworkSpec.from_plain(artifact.spec["network"])
    return Chosen(network.name, network, artifact, row, "; ".join(reasons) or "as asked for", method, seed)


def find_expert(run: Run, name: str) -> Chosen:
    """An expert of the ladder by the name that the report gives it.

    Raises:
        ExportError: when there is no such expert, it is not finished, or its artifact is missing or damaged.
    """
    rows = {row["name"]: row for row in run.report["networks"] if row["role"] != "student"}
    if name not in rows:
        raise ExportError(
            f"expert '{name}' is not in run '{run.id}'{nearest(name, list(rows))}; {_there_are(list(rows))}"
        )
    stages = {row: _stage(run, f"train/{row}", f"pretrained/{row}") for row in rows}
    if stages[name]["end"] is None and run.store.find(stages[name]["id"]) is None:
        teacher = name == run.report["networks"][0]["name"]
        what = f"the teacher '{name}', which exported networks are compared with," if teacher else f"expert '{name}'"
        finished = [row for row, stage in stages.items() if stage["end"] is not None]
        raise ExportError(
            f"{what} of run '{run.id}' is not finished; the same run command finishes it. "
            f"Finished: {', '.join(finished) or 'no expert'}"
        )
    artifact = _artifact(run, stages[name]["id"], f"expert {name}")
    network = NetworkSpec.from_plain(artifact.spec["network"])
    return Chosen(name, network, artifact, rows[name], "as asked for")


def default_folder(run: Run, chosen: Chosen) -> Path:
    """Where the files go unless a person says otherwise."""
    leaf = chosen.name if chosen.method is None else f"{chosen.method}-seed{chosen.seed}"
    return Path("exports", run.id, leaf.replace(":", "-"))


def method_words(method: str) -> str:
    """What a method is, as the report's tables say it."""
    return METHODS[method].taught_by


def counted(things: Sequence[object], name: str) -> str:
    """Returns how many there are, with their name in the singular or plural."""
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"


def _methods(rows: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["method"] for row in rows))


def _seeds(rows: Sequence[dict[str, Any]], method: str) -> list[int]:
    return [row["seed"] for row in rows if row["method"] == method]


def _students_words(rows: Sequence[dict[str, Any]], planned: Sequence[dict[str, Any]]) -> str:
    """Students by method; the seeds are named where other seeds of the method are not meant."""
    words = []
    for method in _methods(rows):
        seeds = _seeds(rows, method)
        some = f" ({'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))})"
        words.append(method + (some if len(seeds) < len(_seeds(planned, method)) else ""))
    return ", ".join(words)


def _validation(rows: Sequence[dict[str, Any]], method: str) -> list[float]:
    return [row["validation_accuracy"] for row in rows if row["method"] == method]


def _stage(run: Run, *names: str) -> dict[str, Any]:
    """The first stage of the report with one of some names."""
    found: dict[str, Any] = next(stage for stage in run.report["stages"] if stage["name"] in names)
    return found


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
