"""A trial of a search: the training of one student, in a process of Ray Tune. ``shared_trial.py`` is for workers."""

from __future__ import annotations

import dataclasses
import re
import time
import traceback
from collections.abc import Callable
from typing import Any, TypedDict

import ray.tune

from orchestrator.artifacts.store import Store
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.stages.faults import fault_class, one_line, this_place
from orchestrator.stages.job import Job, storage_faults, with_place
from orchestrator.stages.observers import StageObserver
from orchestrator.stages.startup_cost import start_up_seconds
from orchestrator.stages.train import results_of, single_device, train_here
from orchestrator.storage.full_disk import is_full_disk
from orchestrator.tracking.logbook import Logbook
from orchestrator.training.loop import Trained
from orchestrator.training.observer import ReportedRow
from orchestrator.training.pace import Timing
from orchestrator.training.world import World

TuneReport = dict[str, Any]  # a validation, a trial's result, or its failure


class TrialConfig(TypedDict):
    """A trial as the searcher proposes it, in plain values."""

    training: dict[str, Any]
    identity: str
    name: str
    folder: str
    tune_folder: str


def log_folder(job: Job) -> str:
    """Folder of the trials' curves and of Tune's files, below ``logs`` of the storage."""
    return f"{re.sub('[/:]', '-', job.name)}-{job.short_identity}"


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
        self.show(step, timing)
        self.job.status.moved()


def in_process(config: TrialConfig, job: Job) -> None:
    """One trial, in a process that may have done others."""
    began = time.monotonic() - start_up_seconds()
    spec, trial = TrainSpec.from_plain(config["training"]), trial_of(job, config)
    try:
        with (
            storage_faults(job.storage),
            Logbook(trial, spec, f"{log_folder(job)}/{config['folder']}") as logbook,
        ):
            trained = train_here(trial, spec, TrialObserver(trial, logbook, spec.steps), World(), single_device(job))
    except Exception as error:
        failure = failure_of(job, config, error)
        if "fault" in failure:
            _leave(job, error, failure)
        ray.tune.report(failure)
        return
    ray.tune.report(result_of(trained, time.monotonic() - began))
    Store(job.storage).drop_checkpoint(config["identity"])


def trial_of(job: Job, config: TrialConfig) -> Job:
    """Returns the job of one trial."""
    facts = dataclasses.replace(job.facts, part="trial")
    return dataclasses.replace(job, identity=config["identity"], name=f"{job.name}/{config['name']}", facts=facts)


def result_of(trained: Trained, slot_seconds: float) -> TuneReport:
    """Returns what a finished trial reports."""
    curve = [(row["step"], row["validation_accuracy"]) for row in trained.history]
    return {**trained.history[-1], **results_of(trained), "curve": curve, "slot_seconds": slot_seconds}


def failure_of(job: Job, config: TrialConfig, error: Exception) -> TuneReport:
    """Returns what a trial reports that failed: a result, a fault of its machine, or a defect with its details."""
    match fault_class(error):
        case "machine":
            return {"fault": one_line(error)}
        case "result":
            return {"failure": str(error), "is_storage_full": is_full_disk(error)}
        case "defect":
            details = ("logs", log_folder(job), config["folder"], "error.txt")
            job.store.write_text("".join(traceback.format_exception(error)), *details)
            return {"failure": f"{with_place(error)}; details: {'/'.join(details)}"}


def _leave(job: Job, error: Exception, fault: TuneReport) -> None:
    """Report a fault of this machine, keep the slot for a while, and end the process: it may be of no more use."""
    place = this_place()
    ray.tune.report({**fault, "place": place})
    time.sleep(job.status.pause_after_fault(place))
    raise error  # Tune ends the process of a trial that raises
