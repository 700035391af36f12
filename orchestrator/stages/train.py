"""train: one network. Networks of the ladder through Ray Train; single-worker students in the stage's own process.

The artifact's files are those of ``artifacts/trained.py``.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch

from orchestrator.artifacts import dataset, trials
from orchestrator.artifacts import trained as files
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Artifact
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.pipeline.specs import TrainSpec, apply_choice
from orchestrator.stages.job import SYSTEM_RETRIES, BlockedError, Failure, Job, StageError, storage_faults
from orchestrator.stages.observers import RayTrainObserver, StageObserver
from orchestrator.stages.startup_cost import start_up_seconds
from orchestrator.tracking.logbook import Logbook
from orchestrator.training.data.images import load
from orchestrator.training.guidance.opening import open_teaching
from orchestrator.training.loop import Observer, Trained, TrainingDivergedError, train
from orchestrator.training.networks import new_network
from orchestrator.training.process import set_up_process
from orchestrator.training.weights.files import write_safetensors
from orchestrator.training.world import World

# Ray Train looks after its workers this often (2 s by default); short runs would wait for it.
POLL_SECONDS = "0.5"
PATIENCE_SECONDS = 60.0  # workers that were started ahead hold their slots for so long
QUEUE_SECONDS = str(7 * 24 * 3600)


def run(job: Job) -> Artifact:
    """Train the stage's network in this process.

    Raises:
        StageError: when the loss diverges or an input does not fit.
    """
    start, spec = time.time(), chosen_spec(job)
    with Logbook(job, spec) as logbook:
        trained = train_here(job, spec, StageObserver(job, logbook), World(), single_device(job))
    artifact = _commit(job, spec, trained, World(), start)
    job.store.drop_checkpoint(job.identity)
    return artifact


def single_device(job: Job) -> torch.device:
    """Returns the device of a single-worker process: the GPU that it asked Ray for, else the CPU.

    Not any GPU that torch sees: Ray hides none from a process that asked for none.
    """
    return torch.device("cuda" if job.placement.gpus else "cpu")


def train_here(job: Job, spec: TrainSpec, observer: Observer, world: World, device: torch.device) -> Trained:
    """Run the training loop in this process, on the data and guidance of the job's inputs.

    Raises:
        StageError: as ``run``.
    """
    set_up_process(spec.threads)
    folders = job.folders()
    try:
        data = load(
            folders["data"], root=job.dataset_root, augmentation=spec.augmentation, views_seed=spec.views_seed,
            device=device, decoders=max(2, job.resources.cpus),
        )  # fmt: skip
        teaching = open_teaching(spec, folders, job.networks_of(spec.guidance.experts), device)
        network = new_network(spec.network, spec.seed)
        return train(spec, network, data, teaching, device=device, observer=observer, world=world)
    except (TrainingDivergedError, ValueError) as error:
        raise StageError(f"{error}") from error


def chosen_spec(job: Job) -> TrainSpec:
    """The stage's training, with what the search found where the stage waits for one."""
    spec = TrainSpec.from_plain(job.spec)
    if not spec.searched:
        return spec
    return apply_choice(spec, trials.read_best_config(FolderFiles(job.folders()["search"])))


def results_of(trained: Trained) -> dict[str, Any]:
    """Returns the results of a training for its artifact's record."""
    last = trained.history[-1]
    return {
        "validation_accuracy": trained.validation_accuracy,
        "validation_loss": trained.validation_loss,
        "last_validation_accuracy": last["validation_accuracy"],
        "kept_step": trained.kept_step,
        "steps": last["step"],
        "training_accuracy": last["training_accuracy"],
        "seconds": trained.seconds,
        "spent": {name: round(seconds, 3) for name, seconds in trained.spent.items()},
        "precision": "bf16" if trained.bf16 else "fp32",
    }


def _commit(
    job: Job, spec: TrainSpec, trained: Trained, world: World, start: float, slot_seconds: float | None = None
) -> Artifact:
    with job.store.scratch() as scratch:
        about = dataset.read_about(FolderFiles(job.folders()["data"]))
        write_safetensors(scratch / WEIGHTS, trained.weights, about.class_names)
        files.write(scratch, trained.history, trained.assignment_counts, trained.learned_step)
        results = results_of(trained) | {
            "weights_sha256": hashlib.sha256((scratch / WEIGHTS).read_bytes()).hexdigest(),
            "workers": world.size,
            "taught_with": {
                "temperature": spec.guidance.temperature,
                "kd_weight": spec.guidance.kd_weight,
                "curriculum": spec.curriculum.model_dump(mode="json") if spec.curriculum else None,
            },
        }
        return job.commit(scratch, start, results, slot_seconds, world.size)


def _worker(config: dict[str, Any]) -> dict[str, Any]:
    """One Ray Train worker. An error that a retry can't mend is returned, since Ray Train retries what is raised.

    Only where all workers return it: one that returns alone would leave the others waiting for it, half an hour.
    """
    import ray.train.torch

    context = ray.train.get_context()
    world = World(context.get_world_rank(), context.get_world_size())
    start_up = start_up_seconds()
    job, missing = config["job"], {}
    try:
        job = _with_inputs(job, config["upstream"], config["patience"])
    except BlockedError as error:
        missing = {"blocked_by": error.args[0]}
    except ray.exceptions.GetTimeoutError:
        missing = {"too_early": True}
    # Each worker sees the GPUs of all workers on its node, and Ray Train knows which is whose.
    device = ray.train.torch.get_device() if job.placement.gpus else torch.device("cpu")
    if world.any(bool(missing), device):  # each has a clock of its own
        return missing or {"too_early": True}
    ready = time.monotonic()
    start, spec = time.time(), chosen_spec(job)
    job.say(doing="training")
    try:
        with storage_faults(job.storage):
            with Logbook(job, spec) if world.main() else nullcontext() as logbook:
                trained = train_here(job, spec, RayTrainObserver(job, logbook), world, device)
            if world.main():
                took = time.monotonic() - ready  # without the wait for its inputs
                of_controller = job.status.controller_seconds(job.name)
                slot_seconds = (start_up + took) * world.size + config["start_up"] + of_controller
                _commit(job, spec, trained, world, start, slot_seconds)
    except StageError as error:
        if world.size > 1 and not isinstance(error.__cause__, TrainingDivergedError):
            raise  # a file that this node alone lacks, perhaps
        return {"error": str(error)}
    return {}


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


def run_ladder(job: Job, upstream: Mapping[str, tuple[str, Any]]) -> Artifact:
    """Train a network of the ladder with Ray Train.

    ``upstream`` gives for each role the stage's name and its artifact, or a reference to one that is still being made:
    workers may start, and import what they need, while that ends.

    Raises:
        StageError: when the loss diverges or an input does not fit.
        BlockedError: when an input can't be made.
    """
    returned = _fit(job, upstream, PATIENCE_SECONDS)
    if "too_early" in returned:  # what it waits for may need the very slot that it held: give it back, then wait
        _with_inputs(job, upstream, patience=None)
        returned = _fit(job, upstream, patience=None)
    if "blocked_by" in returned:
        raise BlockedError(returned["blocked_by"])
    if "error" in returned:
        raise StageError(returned["error"])
    artifact = job.store.find(job.identity)
    if artifact is None:
        raise StageError(f"Ray Train ended without an artifact of {job.name}; its logs are in Ray's session folder")
    job.store.drop_checkpoint(job.identity)
    return artifact


def _fit(job: Job, upstream: Mapping[str, tuple[str, Any]], patience: float | None) -> dict[str, Any]:
    """Returns the main worker's return value."""
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")  # before its import: where v1 is still the default
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", POLL_SECONDS)
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", QUEUE_SECONDS)
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.exceptions import WorkerGroupError

    from orchestrator.stages.controller_cost import ControllerCost

    placement = job.placement
    trainer = TorchTrainer(
        _worker,  # type: ignore[arg-type]  # may return a value since Train v2
        train_loop_config={
            "job": job,
            "upstream": dict(upstream),
            "patience": patience,
            "start_up": start_up_seconds(),
        },
        scaling_config=ScalingConfig(
            num_workers=placement.workers,
            use_gpu=placement.gpus > 0,
            resources_per_worker={"CPU": placement.cpus} | ({"GPU": placement.gpus} if placement.gpus else {}),
        ),
        run_config=RunConfig(
            name=job.identity,
            storage_path=job.store.ray_path("checkpoints"),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            failure_config=FailureConfig(max_failures=SYSTEM_RETRIES, controller_failure_limit=SYSTEM_RETRIES),  # type: ignore[call-arg]  # v2
            callbacks=[ControllerCost()],  # type: ignore[list-item]  # v2
        ),
    )
    try:
        return trainer.fit().return_value or {}  # type: ignore[attr-defined]  # v2
    except WorkerGroupError as error:
        said = [str(failure) for failure in error.worker_failures.values() if isinstance(failure, StageError)]
        if not said:
            raise
        return {"error": said[0]}
