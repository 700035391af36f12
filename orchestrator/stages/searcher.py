"""Searcher of Ray Tune, which takes the trainings that ``search/proposals.py`` proposes and stores their results."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray.tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from orchestrator.artifacts import trials as files
from orchestrator.artifacts.trials import METRIC, TrialRecord, best_of
from orchestrator.pipeline.graph import trial_identity
from orchestrator.pipeline.specs import SearchSpec, TrainSpec
from orchestrator.recipe.early_stopping import SCHEDULERS, TuneScheduler
from orchestrator.search.proposals import Attempt, Proposals
from orchestrator.stages.errors import StageError
from orchestrator.stages.faults import Attempts, checkpoint_time
from orchestrator.stages.job import Job, storage_faults
from orchestrator.stages.trial import TuneReport


def _earlier(job: Job, spec: SearchSpec) -> list[TrialRecord]:
    """Trials that this search is to learn from: those of the named searches that were made over the same artifacts.

    Raises:
        StageError: when one has gone since ``execution/preflight.py`` looked.
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
        self.again: list[tuple[float, Attempt]] = []  # those that met a fault of a machine, and when they may go on
        self.attempts: dict[Attempt, Attempts] = {}
        self.lost: dict[int, tuple[str, int]] = {}  # trials that met too many, with the last one and their number
        self.storage_fault: StageError | None = None  # ends the search
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
        again = next((item for item in self.again if item[0] <= time.monotonic()), None)
        if again:
            self.again.remove(again)
            attempt: Attempt | None = again[1]
        else:
            attempt, self.ahead = self.ahead or self.proposals.next(), None
        if attempt is None:
            return Searcher.FINISHED if self.proposals.done else None
        self.running[trial_id] = attempt
        training = self.proposals.training(attempt)
        identity = self.identity(training)
        name = self._name(attempt)
        # With the identity: a later search that takes this trial over finds its curves by it.
        folder = f"trial-{name}-{identity.rsplit('-', 1)[-1][:8]}"
        faults = self.attempts[attempt].faults if attempt in self.attempts else 0
        return {
            "training": training.model_dump(mode="json"),
            "identity": identity,
            "name": name,
            "folder": folder,
            "tune_folder": f"{folder}-again-{faults}" if faults else folder,
        }

    def _name(self, attempt: Attempt) -> str:
        return f"{attempt.number:03d}" + (f"-{attempt.steps}" if len(self.proposals.lengths) > 1 else "")

    @property
    def is_over(self) -> bool:
        """Whether all that is left of the search are processes that keep a slot after a fault."""
        return self.storage_fault is not None or (self.proposals.done and not self.again)

    def on_trial_result(self, trial_id: str, result: TuneReport) -> None:
        if "fault" in result:
            with self._storage():
                self._ask_again(self.running.pop(trial_id), f"{result['fault']} on {result['place']}")

    def on_trial_complete(self, trial_id: str, result: TuneReport | None = None, error: bool = False) -> None:
        attempt = self.running.pop(trial_id, None)
        if attempt is None:  # it was asked for again
            return
        with self._storage():
            if error or result is None:
                self._ask_again(attempt, "its process died", at_once=True)
            elif result.get("is_storage_full"):  # it says nothing of the trial
                self.storage_fault = StageError(result["failure"])
            else:
                self._take(attempt, result)

    @contextmanager
    def _storage(self) -> Iterator[None]:
        """Keeps an error of the storage for the end of the search; raised at once, it would end in one of Tune's."""
        try:
            with storage_faults(self.job.storage):
                yield
        except StageError as fault:
            self.storage_fault = fault

    def _ask_again(self, attempt: Attempt, why: str, at_once: bool = False) -> None:
        """Ask for an attempt again that met a fault of its machine, unless it met too many."""
        identity = self.identity(self.proposals.training(attempt))
        attempts = self.attempts.setdefault(attempt, Attempts())
        if attempts.may_go_on(checkpoint_time(self.store, identity)):
            self.again.append((time.monotonic() + (0.0 if at_once else attempts.pause), attempt))
            self.job.note(f"trial {self._name(attempt)}", f"{why}; {attempts}")
            return
        self.lost[attempt.number] = (why, attempts.faults)
        self._fail(attempt, why)

    def _fail(self, attempt: Attempt, why: str) -> None:
        config = self.proposals.points[attempt.number]
        failed: TrialRecord = {
            "id": attempt.number, "config": config, "status": "failed", "error": why, "steps": 0, METRIC: None,
        }  # fmt: skip
        self._settle(attempt, failed)

    def _take(self, attempt: Attempt, result: TuneReport) -> None:
        """Store the result of an attempt."""
        self.slot_seconds += result.get("slot_seconds", 0.0)
        if "failure" in result:
            self._fail(attempt, result["failure"])
            return
        number, config = attempt.number, self.proposals.points[attempt.number]
        identity = self.identity(self.proposals.training(attempt))
        record: TrialRecord = {
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
        self.say_progress()

    def say_progress(self) -> None:
        """Post how many trials are done, with the best of them."""
        done, whole = len(self.proposals.found), sum(self.proposals.places)
        best = best_of(self.proposals.trials())
        known = {"accuracy": best[METRIC], "best": best["config"]} if best else {}
        self.job.say(step=done, steps=whole, unit="trials", **known)

    def _settle(self, attempt: Attempt, record: TrialRecord) -> None:
        """Store the result of an attempt, and update the list of trials that the report reads."""
        self.proposals.settle(attempt, record)
        files.store_progress(self.store, self.job.identity, self.proposals.trials())

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the stored trials are the search's state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see ``save``."""


class StartCallback(ray.tune.Callback):
    """Posts that trials run, once the first one has found room."""

    def __init__(self, trials: Trials) -> None:
        self.trials, self.is_said = trials, False

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        if not self.is_said:
            self.is_said = True
            self.trials.say_progress()


class SearchStopper(ray.tune.Stopper):
    """Ends Tune's run when all that is left are processes that keep a slot after a fault."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials

    def __call__(self, trial_id: str, result: TuneReport) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.trials.is_over


def stopping(spec: SearchSpec) -> TuneScheduler | None:
    """Returns the scheduler that stops trials midway; None where trainings are whole."""
    return SCHEDULERS[spec.scheduler].tune
