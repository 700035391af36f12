"""search: the pacing search; Ray Tune runs the trials that ``search/proposals.py`` proposes.

Tune's state is not restored: proposals are a function of the stored trials, and an interrupted trial resumes from its
checkpoint.

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
from ray.tune.search import Searcher

from orchestrator.artifacts import trials as files
from orchestrator.artifacts.full_disk import is_full_disk
from orchestrator.artifacts.store import Artifact, StorageError, Store
from orchestrator.artifacts.trials import METRIC, TrialRecord
from orchestrator.pipeline.graph import trial_identity
from orchestrator.pipeline.specs import SearchSpec, TrainSpec
from orchestrator.recipe.early_stopping import SCHEDULERS, TuneScheduler
from orchestrator.search.proposals import Attempt, Proposals, best_of
from orchestrator.stages.job import SYSTEM_RETRIES, Job, StageError, storage_faults, with_place
from orchestrator.stages.observers import StageObserver
from orchestrator.stages.startup_cost import start_up_seconds
from orchestrator.stages.train import results_of, single_device, train_here
from orchestrator.tracking.logbook import Logbook
from orchestrator.training.pace import Timing
from orchestrator.training.world import World


def run(job: Job) -> Artifact:
    """Search, and commit the trials and the best of them.

    Raises:
        StageError: when no trial could be finished, or the process of one died again and again: what that leaves out
            is no part of any result, so nothing is committed.
    """
    start = time.time()
    spec = SearchSpec.from_plain(job.spec)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    job.say(doing="proposing trials")
    trials = Trials(job, spec)
    if not trials.all_stored():
        _run_trials(job, spec, trials)
    if trials.storage_fault:
        raise StageError(trials.storage_fault)
    if trials.lost:
        raise StageError(
            f"the process of trial {', '.join(map(str, trials.lost))} died {SYSTEM_RETRIES + 1} times (was it out of "
            "memory? see Ray's logs). The other trials are stored, and the same command asks for these alone"
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


def _earlier(job: Job, spec: SearchSpec) -> list[TrialRecord]:
    """Trials that this search is to learn from: those of the named searches that were made over the same artifacts.

    Raises:
        StageError: when one has gone since ``checks.py`` looked.
    """
    inputs = {role: artifact.identity for role, artifact in job.inputs.items()}
    found: list[TrialRecord] = []
    for identity in spec.warm_start:
        artifact = job.store.find(identity)
        if artifact is None:
            raise StageError(f"search.warm_start: {identity} is no longer in the storage")
        if artifact.inputs == inputs:
            found += artifact.results["trials"]
    return found


class Trials(Searcher):
    """Searcher that passes the proposed trainings to Tune, and stores their results."""

    def __init__(self, job: Job, spec: SearchSpec) -> None:
        super().__init__(metric=METRIC, mode="max")
        self.job, self.spec, self.store = job, spec, job.store
        self.proposals = Proposals(spec, self._find, _earlier(job, spec))
        self.running: dict[str, Attempt] = {}  # by Tune's trial id
        self.lost: list[int] = []  # trials that ended without saying why
        self.storage_fault: str | None = None  # ends the search
        self.slot_seconds = 0.0
        self.ahead: Attempt | None = None

    def all_stored(self) -> bool:
        """Returns True if stored trials cover the whole search."""
        self.ahead = self.proposals.next()
        return self.ahead is None

    def identity(self, training: TrainSpec) -> str:
        """The identity of a trial."""
        inputs = {role: artifact.identity for role, artifact in self.job.inputs.items()}
        # A training that may be stopped midway is not the one that is trained to its end.
        return trial_identity(training, inputs, self.spec.scheduler if stopping(self.spec) else "none")

    def _find(self, training: TrainSpec) -> TrialRecord | None:
        return files.find_trial(self.store, self.identity(training))

    # -- what Tune calls -----------------------------------------------------------------------------------------

    def suggest(self, trial_id: str) -> Any:
        if self.storage_fault:
            return Searcher.FINISHED
        attempt, self.ahead = self.ahead or self.proposals.next(), None
        if attempt is None:
            return Searcher.FINISHED if self.proposals.done else None
        self.running[trial_id] = attempt
        training = self.proposals.training(attempt)
        identity = self.identity(training)
        name = f"{attempt.number:03d}" + (f"-{attempt.steps}" if len(self.proposals.lengths) > 1 else "")
        return {
            "training": training.model_dump(mode="json"),
            "identity": identity,
            "name": name,
            # With the identity: a later search that takes this trial over finds its curves by it.
            "folder": f"trial-{name}-{identity.rsplit('-', 1)[-1][:8]}",
        }

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        attempt = self.running.pop(trial_id)
        if result is not None and result.get("of_storage"):  # it says nothing of the trial
            self.storage_fault = result["failure"]
            return
        try:
            self._take(attempt, result, error)
        except StorageError as fault:  # raised here, it would end in an error of Tune's
            self.storage_fault = str(fault)

    def _take(self, attempt: Attempt, result: dict[str, Any] | None, error: bool) -> None:
        """Store the result of an attempt."""
        self.slot_seconds += (result or {}).get("slot_seconds", 0.0)
        number, config = attempt.number, self.proposals.points[attempt.number]
        if error or result is None or "failure" in result:
            why = (result or {}).get("failure")
            if why is None:
                self.lost.append(number)
            record: TrialRecord = {
                "id": number,
                "config": config,
                "status": "failed",
                "error": why or "the trial's process died",
                "steps": 0,
                METRIC: None,
            }
            self._settle(attempt, record)
            return
        identity = self.identity(self.proposals.training(attempt))
        record = {
            "id": number,
            "identity": identity,
            "config": config,
            "status": "finished" if result["step"] >= attempt.steps else "stopped",
            METRIC: result[METRIC],
            "validation_loss": result["validation_loss"],
            "steps": result["step"],
            "seconds": result["seconds"],
            "curve": result["curve"],
        }
        files.store_trial(self.store, identity, record)
        self._settle(attempt, record)
        best = best_of(self.proposals.trials())
        if best is not None:
            done, whole = len(self.proposals.found), sum(self.proposals.places)
            self.job.say(step=done, steps=whole, unit="trials", accuracy=best[METRIC], best=best["config"])

    def _settle(self, attempt: Attempt, record: TrialRecord) -> None:
        """Store the result of an attempt, and update the list of trials that the report reads."""
        self.proposals.settle(attempt, record)
        files.store_progress(self.store, self.job.identity, self.proposals.trials())

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the stored trials are the search's state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see ``save``."""


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
        return None


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
    except ray.exceptions.RayError:
        raise
    except StageError as error:
        of_storage = isinstance(error.__cause__, StorageError) or is_full_disk(error)
        ray.tune.report({METRIC: 0.0, "step": 0, "failure": str(error), "of_storage": of_storage})
        return
    except Exception as error:  # Tune would try it again, as it does when the process dies
        details = ("logs", log_folder(job), config["folder"], "error.txt")
        job.store.write_text(traceback.format_exc(), *details)
        ray.tune.report({METRIC: 0.0, "step": 0, "failure": f"{with_place(error)}; details: {'/'.join(details)}"})
        return
    last = trained.history[-1]
    ray.tune.report(
        last
        | results_of(trained)
        | {"curve": [(row["step"], row[METRIC]) for row in trained.history]}
        | {"slot_seconds": time.monotonic() - began}
    )
    Store(job.storage).drop_checkpoint(config["identity"])


def stopping(spec: SearchSpec) -> TuneScheduler | None:
    """Returns the scheduler that stops trials midway; None where trainings are whole."""
    return SCHEDULERS[spec.scheduler].tune


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
            num_samples=sum(trials.proposals.places),
            reuse_actors=True,
            trial_name_creator=lambda trial: f"trial-{trial.config['name']}",
            trial_dirname_creator=lambda trial: trial.config["folder"],
        ),
        run_config=ray.tune.RunConfig(
            name=log_folder(job),
            storage_path=job.store.ray_path("logs"),
            failure_config=ray.tune.FailureConfig(max_failures=SYSTEM_RETRIES),
            callbacks=[JsonLoggerCallback(), CSVLoggerCallback()],
            verbose=0,
        ),
    )
    tuner.fit()
