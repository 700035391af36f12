"""Selection of the network to export: a run's report, the student or expert asked for, its artifacts. No torch here."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from orchestrator.artifacts import dataset
from orchestrator.artifacts.dataset import DatasetAbout
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.errors import UserError
from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.recipe.messages import nearest
from orchestrator.report.content.schema import NetworkRow, Report, Role, StageRow, StudentRow
from orchestrator.report.storage import read
from orchestrator.report.words import counted, hundredths


class ExportError(UserError):
    """The network can't be exported as asked; the message says what was found and what to do."""


@dataclass(frozen=True)
class Run:
    """A run by its report; ``report`` is the content of ``report.json`` (docs/report.md)."""

    id: str
    store: Store
    report: Report

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
    """A trained network of a run. ``why`` is the reason for its choice, as a clause; ``row`` is its report entry.

    ``method`` and ``seed`` are None for an expert.
    """

    name: str
    network: NetworkSpec
    artifact: Artifact
    row: StudentRow | NetworkRow
    why: str
    method: str | None = None
    seed: int | None = None
    role: Role = "student"


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
    planned: dict[str, dict[int, StudentRow]] = {}
    for row in run.report["methods"]:
        planned.setdefault(row["method"], {})[row["seed"]] = row
    done = {
        name: {seed: accuracy for seed, row in rows.items() if (accuracy := row["validation_accuracy"]) is not None}
        for name, rows in planned.items()
    }
    finished = [name for name, accuracies in done.items() if accuracies]
    missing = _missing(planned, done)
    if not finished:
        raise ExportError(
            f"run '{run.id}' has no finished student (missing: {missing}); the same run command finishes it"
        )
    reasons = []
    if method is None:
        means = {name: statistics.fmean(done[name].values()) for name in finished}
        method = max(means, key=lambda name: means[name])
        reasons.append(f"best mean validation accuracy of {counted(finished, 'method')}, {hundredths(means[method])} %")
    elif method not in planned:
        raise ExportError(f"method '{method}' is not in run '{run.id}'{nearest(method, [*planned])}; {_are(planned)}")
    elif method not in finished:
        raise _unfinished(f"method '{method}'", run, f"{', '.join(finished)}; missing: {missing}")
    accuracies = done[method]
    if seed is None:
        seed = max(accuracies, key=lambda seed: accuracies[seed])
        best = hundredths(accuracies[seed])
        reasons.append(f"the best of its {counted(accuracies, 'seed')} on validation, {best} %")
    elif seed not in planned[method]:
        raise ExportError(f"seed {seed} is not among method '{method}' of run '{run.id}'; {_are(planned[method])}")
    elif seed not in accuracies:
        raise _unfinished(f"seed {seed} of method '{method}'", run, ", ".join(map(str, accuracies)))
    if reasons and missing:
        reasons.append(f"not finished, so not compared: {missing}")
    row = planned[method][seed]
    artifact = _artifact(run, row["artifact"], f"student {method}, seed {seed}")
    network = NetworkSpec.from_plain(artifact.spec["network"])
    return Chosen(network.name, network, artifact, row, "; ".join(reasons) or "as asked for", method, seed)


def _missing(planned: Mapping[str, Iterable[int]], done: Mapping[str, Mapping[int, float]]) -> str:
    """Students that are not finished, by method; the seeds are named where others of the method are."""
    words = []
    for method, seeds in planned.items():
        absent = [str(seed) for seed in seeds if seed not in done[method]]
        some = f" ({'seed' if len(absent) == 1 else 'seeds'} {', '.join(absent)})" if done[method] else ""
        words += [method + some] if absent else []
    return ", ".join(words)


def find_expert(run: Run, name: str) -> Chosen:
    """An expert of the ladder by its name in the report.

    Raises:
        ExportError: when there is no such expert, it is not finished, or its artifact is missing or damaged.
    """
    rows = {row["name"]: row for row in run.report["networks"] if row["role"] != "student"}
    if name not in rows:
        raise ExportError(f"expert '{name}' is not in run '{run.id}'{nearest(name, list(rows))}; {_are(rows)}")
    stages = {row: _stage(run, f"train/{row}", f"pretrained/{row}", f"snapshot/{row}") for row in rows}
    if stages[name]["end"] is None and run.store.find(stages[name]["id"]) is None:
        teacher = name == run.report["networks"][0]["name"]
        what = f"the teacher '{name}', which exported networks are compared with," if teacher else f"expert '{name}'"
        finished = [row for row, stage in stages.items() if stage["end"] is not None]
        raise _unfinished(what, run, ", ".join(finished) or "no expert")
    artifact = _artifact(run, stages[name]["id"], f"expert {name}")
    network = NetworkSpec.from_plain(artifact.spec["network"])
    return Chosen(name, network, artifact, rows[name], "as asked for", role=rows[name]["role"])


def default_folder(run: Run, chosen: Chosen) -> Path:
    """The folder of the files unless ``--out`` names another."""
    leaf = chosen.name if chosen.method is None else f"{chosen.method}-seed{chosen.seed}"
    return Path("exports", run.id, leaf.replace(":", "-"))


def _stage(run: Run, *names: str) -> StageRow:
    """The first stage of the report with one of some names."""
    return next(stage for stage in run.report["stages"] if stage["name"] in names)


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


def _unfinished(what: str, run: Run, finished: str) -> ExportError:
    return ExportError(
        f"{what} of run '{run.id}' is not finished; the same run command finishes it. Finished: {finished}"
    )


def _are(known: Collection[object]) -> str:
    return f"there {'is' if len(known) == 1 else 'are'}: {', '.join(map(str, known))}"
