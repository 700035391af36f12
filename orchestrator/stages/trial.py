"""A trial of a search: the training of one student, in a process of Ray Tune or by workers of Ray Train.

A trial of several workers is a function of Tune that takes no CPU itself. It runs the training with Ray Train, whose
own callback passes the validations on to Tune; a trial that Tune stops takes its workers with it.
"""

from __future__ import annotations

import dataclasses
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypedDict

import ray.tune

from orchestrator.artifacts.full_disk import is_full_disk
from orchestrator.artifacts.store import Store
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.stages.errors import StageError
from orchestrator.stages.faults import fault_class, one_line, this_place
from orchestrator.stages.job import Job, storage_faults, with_place
from orchestrator.stages.observers import RayTrainObserver, StageObserver
from orchestrator.stages.startup_cost import start_up_seconds
from orchestrator.stages.train import results_of, single_device, train_here
from orchestrator.tracking.logbook import Logbook
from orchestrator.training.loop import Trained, TrainingDivergedError
from orchestrator.training.observer import ReportedRow
from orchestrator.training.pace import Timing
from orchestrator.training.world import World

# What each node has and a trial's workers are never short of: a share of a CPU would keep them from a whole one.
NEXT_TO_NOTHING = {"memory": 1}

TuneReport = dict[str, Any]  # a validation, a trial's result, or its failure


class TrialConfig(TypedDict):
    """A trial as the searcher proposes it, in plain values."""

    training: dict[str, Any]
    identity: str
    name: str
    folder: str
    tune_folder: str


def function_of(job: Job) -> Callable[..., None]:
    """Returns the function of a search's trials."""
    return _in_process if job.placement.trial_workers == 1 else _by_workers


def resources_of(job: Job) -> dict[str, float]:
    """Returns the resources of a trial's own process."""
    placement = job.placement
    if placement.trial_workers > 1:
        return dict(NEXT_TO_NOTHING)
    return {"CPU": placement.cpus} | ({"GPU": placement.gpus} if placement.gpus else {})


def log_folder(job: Job) -> str:
    """Folder of the trials' curves and of Tune's files, below ``logs`` of the storage."""
    return f"{job.name.replace('/', '-')}-{job.short_identity}"


class Curve:
    """Validation accuracy by step, as a trial reports it."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.points: list[tuple[float, float]] = []

    def report(self, row: ReportedRow) -> TuneReport | None:
        """Returns a validation as it is reported; None for the last one, which is in the trial's result."""
        self.points.append((row["step"], row["validation_accuracy"]))
        return {**row, "curve": list(self.points)} if row["step"] < self.steps else None


class TrialObserver(StageObserver):
    """Observer in a trial: each validation is reported to Tune, which may stop the trial."""

    def __init__(self, job: Job, logbook: Logbook, steps: int) -> None:
        super().__init__(job, logbook)
        self.curve = Curve(steps)

    def evaluated(self, row: ReportedRow, state: Callable[[], bytes]) -> bool:
        written = super().evaluated(row, state)
        if report := self.curve.report(row):
            ray.tune.report(report)
        return written

    def tick(self, step: int, steps: int, timing: Timing) -> None:
        self.job.status.moved()


class WorkerObserver(RayTrainObserver):
    """Observer in a worker of a trial: each validation is reported to Ray Train, which passes it on to Tune."""

    def __init__(self, job: Job, logbook: Logbook | None, steps: int) -> None:
        super().__init__(job, logbook)
        self.curve = Curve(steps)

    def report(self, row: ReportedRow, checkpoint: Any = None) -> None:
        if report := self.curve.report(row):
            super().report(report, checkpoint)

    def tick(self, step: int, steps: int, timing: Timing) -> None:
        self.job.status.moved()


def _in_process(config: TrialConfig, job: Job) -> None:
    """One trial, in a process that may have done others."""
    began = time.monotonic() - start_up_seconds()
    spec, trial = TrainSpec.from_plain(config["training"]), _trial_of(job, config)
    try:
        with (
            storage_faults(job.storage),
            Logbook(trial, spec, f"{log_folder(job)}/{config['folder']}") as logbook,
        ):
            trained = train_here(trial, spec, TrialObserver(trial, logbook, spec.steps), World(), single_device(job))
    except Exception as error:
        _report_error(job, config, error)
        return
    ray.tune.report(_result(trained, time.monotonic() - began))
    Store(job.storage).drop_checkpoint(config["identity"])


def _by_workers(config: TrialConfig, job: Job) -> None:
    """One trial, by workers of Ray Train."""
    from ray.tune.integration.ray_train import TuneReportCallback

    from orchestrator.stages.ray_train import fit

    trial = _trial_of(job, config)
    given: WorkerConfig = {"job": trial, "search": job, "trial": config}
    try:
        result: TuneReport = fit(_worker, given, trial, job.placement.trial_workers, [TuneReportCallback()])
    except Exception as error:
        _report_error(job, config, error)
        return
    ray.tune.report(result)
    Store(job.storage).drop_checkpoint(config["identity"])


class WorkerConfig(TypedDict):
    """What a worker of a trial is given."""

    job: Job
    search: Job
    trial: TrialConfig


def _worker(config: WorkerConfig) -> TuneReport:
    """One worker of a trial; the main one returns the result, or why the loss diverged."""
    from orchestrator.stages.ray_train import place_of_worker

    start_up, began = start_up_seconds(), time.monotonic()
    trial, search = config["job"], config["search"]
    world, device = place_of_worker(trial)
    spec = TrainSpec.from_plain(config["trial"]["training"])
    folder = f"{log_folder(search)}/{config['trial']['folder']}"
    try:
        with storage_faults(trial.storage), Logbook(trial, spec, folder) if world.main() else nullcontext() as logbook:
            trained = train_here(trial, spec, WorkerObserver(trial, logbook, spec.steps), world, device)
    except StageError as error:
        if isinstance(error.__cause__, TrainingDivergedError):  # on all workers: Ray Train is not to try again
            return {"failure": str(error)}
        raise
    of_controller = trial.status.controller_seconds(trial.name) if world.main() else 0.0
    return _result(trained, (start_up + time.monotonic() - began) * world.size + of_controller)


def _trial_of(job: Job, config: TrialConfig) -> Job:
    """Returns the job of one trial."""
    facts = dataclasses.replace(job.facts, part="trial")
    return dataclasses.replace(job, identity=config["identity"], name=f"{job.name}/{config['name']}", facts=facts)


def _result(trained: Trained, slot_seconds: float) -> TuneReport:
    """Returns what a finished trial reports."""
    curve = [(row["step"], row["validation_accuracy"]) for row in trained.history]
    return {**trained.history[-1], **results_of(trained), "curve": curve, "slot_seconds": slot_seconds}


def _report_error(job: Job, config: TrialConfig, error: Exception) -> None:
    """Report the failure that an error is, or leave this machine."""
    match fault_class(error):
        case "machine":
            _leave(job, error)
        case "result":
            ray.tune.report({"failure": str(error), "is_storage_full": is_full_disk(error)})
        case "defect":
            details = ("logs", log_folder(job), config["folder"], "error.txt")
            job.store.write_text("".join(traceback.format_exception(error)), *details)
            ray.tune.report({"failure": f"{with_place(error)}; details: {'/'.join(details)}"})


def _leave(job: Job, error: Exception) -> None:
    """Report a fault of this machine, keep the slot for a while, and end the process: it may be of no more use."""
    place = this_place()
    ray.tune.report({"fault": one_line(error), "place": place})
    time.sleep(job.status.pause_after_fault(place))
    raise error  # Tune ends the process of a trial that raises
