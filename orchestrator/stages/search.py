"""search: the pacing search; Ray Tune runs the trials that ``search/proposals.py`` proposes.

Tune's state is not restored: proposals are a function of the stored trials, and an interrupted trial resumes from its
checkpoint. A trial that meets a fault of its machine is asked for again at once, as another of Tune's trials, while
its process keeps its slot for a while, so that a slot whose every call fails does not take one trial after another.

The artifact's file, and the stored trials, are those of ``artifacts/trials.py``.
"""

from __future__ import annotations

import dataclasses
import os
import time
import traceback
from collections.abc import Callable
from typing import Any

import optuna
import ray.tune
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback

from orchestrator.artifacts import trials as files
from orchestrator.artifacts.full_disk import is_full_disk
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.trials import METRIC
from orchestrator.pipeline.specs import SearchSpec, TrainSpec
from orchestrator.search.proposals import best_of
from orchestrator.stages.faults import fault_class, one_line, this_place
from orchestrator.stages.job import Job, StageError, storage_faults, with_place
from orchestrator.stages.observers import StageObserver
from orchestrator.stages.searcher import Over, Started, Trials, stopping
from orchestrator.stages.startup_cost import start_up_seconds
from orchestrator.stages.train import results_of, single_device, train_here
from orchestrator.tracking.logbook import Logbook
from orchestrator.training.pace import Timing
from orchestrator.training.world import World


def run(job: Job) -> Artifact:
    """Search, and commit the trials and the best of them.

    Raises:
        StageError: when no trial could be finished, or one met faults of its machines again and again: what that
            leaves out is no part of any result, so nothing is committed.
    """
    start = time.time()
    spec = SearchSpec.from_plain(job.spec)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    job.say(doing="proposing trials")
    trials = Trials(job, spec)
    if not trials.all_stored():
        job.say(doing="trials wait for room", waits_for_room=True)
        _run_trials(job, spec, trials)
    if trials.storage_fault:
        raise StageError(trials.storage_fault)
    if trials.lost:
        number, (why, times) = next(iter(trials.lost.items()))
        others = f" (trials {', '.join(map(str, trials.lost))})" if len(trials.lost) > 1 else ""
        raise StageError(
            f"trial {number}{others}: {why}, {times} times without a later checkpoint. The other trials are stored, "
            "and the same command asks for these alone"
        )
    records = trials.proposals.trials()
    best = best_of(records)
    if best is None:
        raise StageError(f"all {len(records)} trials failed; the first: {records[0]['error']}")
    with job.store.scratch() as scratch:
        files.write(scratch, records, best)
        at_once = min(spec.round_size, spec.trials)
        seconds = trials.slot_seconds + job.processor_seconds()
        return job.commit(scratch, start, {"trials": records, "best": best}, seconds, at_once)


class TrialObserver(StageObserver):
    """Observer in a trial: each validation is reported to Tune, which may stop the trial."""

    def __init__(self, job: Job, logbook: Logbook, steps: int) -> None:
        super().__init__(job, logbook)
        self.steps = steps
        self.curve: list[tuple[int, float]] = []

    def evaluated(self, row: dict[str, Any], state: Callable[[], bytes]) -> bool:
        written = super().evaluated(row, state)
        self.curve.append((row["step"], row["validation_accuracy"]))
        if row["step"] < self.steps:  # the last report is the trial's result
            ray.tune.report(row | {"curve": self.curve})
        return written

    def tick(self, step: int, steps: int, timing: Timing) -> None:
        self.job.status.moved()


def log_folder(job: Job) -> str:
    """Folder of the trials' curves and of Tune's files, below ``logs`` of the storage."""
    return f"{job.name.replace('/', '-')}-{job.short_identity}"


def _trial(config: dict[str, Any], job: Job) -> None:
    """One trial: a student of the search, in a process that may have done others."""
    began = time.monotonic() - start_up_seconds()
    spec = TrainSpec.from_plain(config["training"])
    facts = dataclasses.replace(job.facts, part="trial")
    trial = dataclasses.replace(job, identity=config["identity"], name=f"{job.name}/{config['name']}", facts=facts)
    try:
        with (
            storage_faults(job.storage),
            Logbook(trial, spec, f"{log_folder(job)}/{config['folder']}") as logbook,
        ):
            trained = train_here(trial, spec, TrialObserver(trial, logbook, spec.steps), World(), single_device(job))
    except Exception as error:
        match fault_class(error):
            case "machine":
                _leave(job, error)
            case "result":
                ray.tune.report({"failure": str(error), "is_storage_full": is_full_disk(error)})
            case "defect":
                details = ("logs", log_folder(job), config["folder"], "error.txt")
                job.store.write_text(traceback.format_exc(), *details)
                ray.tune.report({"failure": f"{with_place(error)}; details: {'/'.join(details)}"})
        return
    last = trained.history[-1]
    ray.tune.report(
        last
        | results_of(trained)
        | {"curve": [(row["step"], row[METRIC]) for row in trained.history]}
        | {"slot_seconds": time.monotonic() - began}
    )
    Store(job.storage).drop_checkpoint(config["identity"])


def _leave(job: Job, error: Exception) -> None:
    """Report a fault of this machine, keep the slot for a while, and end the process: it may be of no more use."""
    place = this_place()
    ray.tune.report({"fault": one_line(error), "place": place})
    time.sleep(job.status.pause_after_fault(place))
    raise error  # Tune ends the process of a trial that raises


def tune_scheduler(spec: SearchSpec) -> ray.tune.schedulers.TrialScheduler | None:
    """Returns ``stopping`` as Ray Tune's object."""
    found = stopping(spec)
    if found is None:
        return None
    scheduler: ray.tune.schedulers.TrialScheduler = getattr(ray.tune.schedulers, found.name)(
        time_attr="step", **found.arguments(spec.student.steps)
    )
    return scheduler


def _run_trials(job: Job, spec: SearchSpec, trials: Trials) -> None:
    placement = job.placement
    ask = {"CPU": placement.cpus} | ({"GPU": placement.gpus} if placement.gpus else {})
    # Else Tune adds TensorBoard files of its own to those of the trials' logbooks.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"  # a failure has none, and no scheduler is to see one
    trainable = ray.tune.with_parameters(_trial, job=job)
    # Tune keeps trainables by this name in the whole Ray job and overwrites: two searches at once must not share it.
    trainable.__name__ = f"trial-{job.identity}"
    tuner = ray.tune.Tuner(
        ray.tune.with_resources(trainable, ask),
        tune_config=ray.tune.TuneConfig(
            metric=METRIC,
            mode="max",
            search_alg=trials,
            scheduler=tune_scheduler(spec),
            num_samples=-1,  # the searcher ends
            # Else Tune lets one trial of a custom searcher wait for resources at a time. Trials that keep their slots
            # after a fault count too.
            max_concurrent_trials=2 * sum(trials.proposals.places),
            reuse_actors=True,
            trial_name_creator=lambda trial: f"trial-{trial.config['name']}",
            trial_dirname_creator=lambda trial: trial.config["tune_folder"],
        ),
        run_config=ray.tune.RunConfig(
            name=log_folder(job),
            storage_path=job.store.ray_path("logs"),
            stop=Over(trials),
            failure_config=ray.tune.FailureConfig(max_failures=0),  # the searcher asks again
            callbacks=[JsonLoggerCallback(), CSVLoggerCallback(), Started(trials)],
            verbose=0,
        ),
    )
    tuner.fit()
