"""Trainings by Ray Train: networks of the ladder, and whatever has several workers.

A training is resumed by ``RunConfig.name``, which is its identity, from the checkpoint that the main worker reported
last.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, TypedDict

import torch

from orchestrator.artifacts.store import Artifact
from orchestrator.stages.elastic import ElasticObserver, GrowthError, NoRoomError, is_of_room, workers_to_start
from orchestrator.stages.errors import BlockedError, MachineFaultError, StageError
from orchestrator.stages.job import SYSTEM_RETRIES, Failure, Job, storage_faults
from orchestrator.stages.observers import RayTrainObserver
from orchestrator.stages.startup_cost import start_up_seconds
from orchestrator.stages.train import chosen_spec, commit, train_here
from orchestrator.tracking.logbook import Logbook
from orchestrator.training.errors import TrainingDivergedError
from orchestrator.training.world import World

# Ray Train looks after its workers this often (2 s by default); short runs would wait for it.
POLL_SECONDS = "0.5"
PATIENCE_SECONDS = 60.0  # workers that were started ahead hold their slots for so long
QUEUE_SECONDS = 7 * 24 * 3600
RETHINK_SECONDS = 30  # an elastic training waits so long for more workers than it needs


class StageConfig(TypedDict):
    """Arguments of a stage's worker: inputs by role as ``run`` takes them, and how long to wait for each."""

    job: Job
    upstream: Mapping[str, tuple[str, Any]]
    patience: float | None
    start_up: float


class Returned(TypedDict, total=False):
    """Return value of a worker that did not commit an artifact, with the reason."""

    error: str
    blocked_by: str
    too_early: bool
    grows_to: int


def _worker(config: StageConfig) -> Returned:
    """One Ray Train worker. An error that a retry can't mend is returned, since Ray Train retries what is raised.

    Only where all workers return it: one that returns alone would leave the others waiting for it, half an hour.
    """
    import ray

    start_up = start_up_seconds()
    job, missing = config["job"], Returned()
    world, device = place_of_worker(job)
    try:
        job = _with_inputs(job, config["upstream"], config["patience"])
    except BlockedError as error:
        missing = {"blocked_by": error.args[0]}
    except ray.exceptions.GetTimeoutError:
        missing = {"too_early": True}
    if world.any(bool(missing), device):  # each has a clock of its own
        return missing or {"too_early": True}
    ready = time.monotonic()
    start, spec = time.time(), chosen_spec(job)
    job.say(doing="training")
    try:
        with storage_faults(job.storage):
            with Logbook(job, spec) if world.main() else nullcontext() as logbook:
                observer = RayTrainObserver(job, logbook)
                if job.placement.fewest_workers is not None:
                    observer = ElasticObserver(job, logbook, world, device, spec.steps)
                trained = train_here(job, spec, observer, world, device)
            if world.main():
                took = time.monotonic() - ready  # without the wait for its inputs
                of_controller = job.status.controller_seconds(job.name)
                slot_seconds = (start_up + took) * world.size + config["start_up"] + of_controller
                commit(job, spec, trained, world, start, slot_seconds)
    except GrowthError as growth:
        return {"grows_to": growth.workers}
    except StageError as error:
        several = world.size > 1 and not isinstance(error.__cause__, TrainingDivergedError)
        if several or isinstance(error, MachineFaultError):
            raise  # a file that this node alone lacks, perhaps
        return {"error": str(error)}
    return {}


def place_of_worker(job: Job) -> tuple[World, torch.device]:
    """Returns a worker's place among the others, and its device."""
    import ray.train.torch

    context = ray.train.get_context()
    # Each worker sees the GPUs of all workers on its node, and Ray Train knows which is whose.
    device = ray.train.torch.get_device() if job.placement.gpus else torch.device("cpu")
    return World(context.get_world_rank(), context.get_world_size()), device


def _with_inputs(job: Job, upstream: Mapping[str, tuple[str, Any]], patience: float | None) -> Job:
    """The job with its inputs, waited for where they are still being made.

    Raises:
        BlockedError: when one can't be made.
        ray.exceptions.GetTimeoutError: when ``patience`` seconds have passed.
    """
    import ray

    found: dict[str, Artifact | Failure] = {}
    for role, (name, item) in upstream.items():
        try:
            found[role] = ray.get(item, timeout=patience) if isinstance(item, ray.ObjectRef) else item
        except ray.exceptions.GetTimeoutError:
            raise
        except ray.exceptions.RayError:
            raise BlockedError(name) from None
    return job.with_inputs(found)


def run(job: Job, upstream: Mapping[str, tuple[str, Any]]) -> Artifact:
    """Train the stage's network with Ray Train.

    ``upstream`` gives for each role the stage's name and its artifact, or a reference to one that is still being made:
    workers may start, and import what they need, while that ends.

    Raises:
        StageError: when the loss diverges or an input does not fit.
        BlockedError: when an input can't be made.
    """
    returned = _fit_stage(job, upstream, PATIENCE_SECONDS)
    if "too_early" in returned:  # what it waits for may need the very slot that it held: give it back, then wait
        _with_inputs(job, upstream, patience=None)
        returned = _fit_stage(job, upstream, patience=None)
    if "blocked_by" in returned:
        raise BlockedError(returned["blocked_by"])
    if "error" in returned:
        raise StageError(returned["error"])
    artifact = job.store.find(job.identity)
    if artifact is None:
        raise StageError(f"Ray Train ended without an artifact of {job.name}; its logs are in Ray's session folder")
    job.store.drop_checkpoint(job.identity)
    return artifact


def _fit_stage(job: Job, upstream: Mapping[str, tuple[str, Any]], patience: float | None) -> Returned:
    """Returns the main worker's return value, of an elastic training when it has ended with any number of workers."""
    config: StageConfig = {
        "job": job, "upstream": dict(upstream), "patience": patience, "start_up": start_up_seconds()
    }  # fmt: skip
    workers = workers_to_start(job.placement)
    while True:
        try:
            returned: Returned | None = fit(_worker, config, job, workers)
        except NoRoomError:
            workers = workers_to_start(job.placement)
            continue
        if returned is None or "grows_to" not in returned:
            return returned or {}
        workers = returned["grows_to"]


def fit(worker: Callable[[Any], object], config: Mapping[str, Any], job: Job, workers: int) -> Any:
    """Run a function in workers of Ray Train; returns what it returned in the main one.

    Args:
        worker: takes ``config``.
        config: has the job as ``job``.
        job: names the training by its identity; its placement has the resources of a worker.
        workers: number of workers.

    Raises:
        StageError: that a worker raised again and again.
        NoRoomError: for an elastic training, when the workers found no room, or lost it to a node that left.
        ray.train.TrainingFailedError: for other errors.
    """
    elastic = job.placement.fewest_workers is not None
    queues = workers <= job.placement.least
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")  # before its import: where v1 is still the default
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", POLL_SECONDS)
    os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = str(QUEUE_SECONDS if queues else RETHINK_SECONDS)
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

    from orchestrator.stages.controller_cost import ControllerCost

    placement = job.placement
    retries = {"max_failures": SYSTEM_RETRIES, "controller_failure_limit": SYSTEM_RETRIES}
    if elastic:  # each attempt may have another number of workers; older releases of Ray have two of the limits
        limits = "max_failures", "controller_failure_limit", "max_preemption_failures"
        retries = {limit: 0 for limit in limits if limit in FailureConfig.__dataclass_fields__}
    trainer = TorchTrainer(
        worker,  # type: ignore[arg-type]  # may return a value since Train v2
        train_loop_config=dict(config),
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=placement.gpus > 0,
            resources_per_worker={"CPU": placement.cpus} | ({"GPU": placement.gpus} if placement.gpus else {}),
        ),
        run_config=RunConfig(
            name=job.identity,
            **job.store.for_ray("checkpoints"),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            failure_config=FailureConfig(**retries),  # type: ignore[arg-type]  # v2
            callbacks=[ControllerCost()],  # type: ignore[list-item]  # v2
        ),
    )
    try:
        return trainer.fit().return_value  # type: ignore[attr-defined]  # v2
    except TrainingFailedError as error:
        said = error.worker_failures.values() if isinstance(error, WorkerGroupError) else ()
        for failure in said:
            if isinstance(failure, StageError):
                raise failure from None
        if elastic and is_of_room(error):
            raise NoRoomError from error
        raise
