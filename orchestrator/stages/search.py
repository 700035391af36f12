"""search: the pacing search; Ray Tune runs the trials that ``search/proposals.py`` proposes.

Tune's state is not restored: proposals are a function of the stored trials, and an interrupted trial resumes from its
checkpoint. A trial that meets a fault of its machine is asked for again at once, as another of Tune's trials, while
its process keeps its slot for a while, so that a slot whose every call fails does not take one trial after another.

The artifact's files, and the stored trials, are those of ``artifacts/trials.py``.
"""

from __future__ import annotations

import os
import time

import optuna
import ray.tune
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback

from orchestrator.artifacts import trials as files
from orchestrator.artifacts.store import Artifact
from orchestrator.artifacts.trials import METRIC, best_of
from orchestrator.pipeline.specs import SearchSpec
from orchestrator.search import studies
from orchestrator.stages import shared_trial, trial
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job
from orchestrator.stages.searcher import SearchStopper, StartCallback, Trials, stopping


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
        raise trials.storage_fault
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
        assert job.facts.method is not None, "a search without a method"
        facts = {"identity": job.identity, "recipe": job.recipe}
        experts = spec.student.guidance.experts
        studies.write(scratch / files.STUDY, job.facts.method, facts, spec.space, records, experts)
        at_once = min(spec.round_size, spec.trials) * job.placement.trial_workers
        seconds = trials.slot_seconds + job.processor_seconds()
        return job.commit(scratch, start, {"trials": records, "best": best}, seconds, at_once)


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
    # Else Tune adds TensorBoard files of its own to those of the trials' logbooks.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"  # a failure has none, and no scheduler is to see one
    placement = job.placement
    if placement.trial_workers == 1:
        ask: dict[str, float] = {"CPU": placement.cpus} | ({"GPU": placement.gpus} if placement.gpus else {})
        trainable = ray.tune.with_parameters(trial.in_process, job=job)
    else:
        ask, trainable = shared_trial.RESOURCES, ray.tune.with_parameters(shared_trial.SharedTrial, job=job)
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
            reuse_actors=placement.trial_workers == 1,
            trial_name_creator=lambda it: f"trial-{it.config['name']}",
            trial_dirname_creator=lambda it: it.config["tune_folder"],
        ),
        run_config=ray.tune.RunConfig(
            name=trial.log_folder(job),
            **job.store.for_ray("logs"),
            stop=SearchStopper(trials),
            checkpoint_config=ray.tune.CheckpointConfig(checkpoint_at_end=False),  # trials have their own
            failure_config=ray.tune.FailureConfig(max_failures=0),  # the searcher asks again
            callbacks=[JsonLoggerCallback(), CSVLoggerCallback(), StartCallback(trials)],
            verbose=0,
        ),
    )
    tuner.fit()
