"""train: one network, by a single worker in the stage's own process. ``ray_train.py`` has trainings by several.

The artifact's files are those of ``artifacts/trained.py``.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import closing
from typing import TypedDict

import torch
from typing_extensions import NotRequired

from orchestrator.artifacts import dataset, trials
from orchestrator.artifacts import trained as files
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Artifact
from orchestrator.artifacts.trained import OTHER_WEIGHTS, WEIGHTS
from orchestrator.pipeline.specs import TrainSpec, apply_choice
from orchestrator.recipe.choices import Precision
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job
from orchestrator.stages.observers import StageObserver
from orchestrator.tracking.logbook import Logbook
from orchestrator.training.data.images import load
from orchestrator.training.errors import TrainingDivergedError
from orchestrator.training.guidance.opening import open_teaching
from orchestrator.training.loop import Trained, train
from orchestrator.training.networks import new_network
from orchestrator.training.process import set_up_process
from orchestrator.training.weights.files import write_safetensors
from orchestrator.training.world import World


class TrainResults(TypedDict):
    """Results of a training in its artifact's record; ``spent`` splits the seconds by activity.

    ``other_step`` and ``other_validation_accuracy`` are of the weights that were not kept, where they are stored.
    """

    validation_accuracy: float
    validation_loss: float
    last_validation_accuracy: float
    kept_step: int
    steps: int
    training_accuracy: float
    seconds: float
    spent: dict[str, float]
    precision: Precision
    other_step: NotRequired[int]
    other_validation_accuracy: NotRequired[float]


def run(job: Job) -> Artifact:
    """Train the stage's network in this process.

    Raises:
        StageError: when the loss diverges or an input does not fit.
    """
    start, spec = time.time(), chosen_spec(job)
    with Logbook(job, spec) as logbook:
        trained = train_here(job, spec, StageObserver(job, logbook), World(), single_device(job))
    artifact = commit(job, spec, trained, World(), start)
    job.store.drop_checkpoint(job.identity)
    return artifact


def single_device(job: Job) -> torch.device:
    """Returns the device of a single-worker process: the GPU that it asked Ray for, else the CPU.

    Not any GPU that torch sees: Ray hides none from a process that asked for none.
    """
    return torch.device("cuda" if job.placement.gpus else "cpu")


def train_here(job: Job, spec: TrainSpec, observer: StageObserver, world: World, device: torch.device) -> Trained:
    """Run the training loop in this process, on the data and guidance of the job's inputs.

    Raises:
        StageError: as ``run``.
    """
    set_up_process(spec.threads)
    folders = job.folders()
    try:
        data = load(
            folders["data"], root=job.dataset_root, augmentation=spec.augmentation, views_seed=spec.views_seed,
            device=device, decoders=job.resources.cpus,
        )  # fmt: skip
        with closing(data):
            teaching = open_teaching(spec, folders, job.networks_of(spec.guidance.experts), device)
            network = new_network(spec.network, spec.seed)
            micro_batch = job.resources.micro_batch
            return train(
                spec, network, data, teaching, device=device, observer=observer, world=world, micro_batch=micro_batch,
                snapshots=job.facts.snapshots,
            )  # fmt: skip
    except (TrainingDivergedError, ValueError) as error:
        raise StageError(f"{error}") from error
    finally:
        observer.close()


def chosen_spec(job: Job) -> TrainSpec:
    """The stage's training, with what the search found where the stage waits for one."""
    spec = TrainSpec.from_plain(job.spec)
    if not spec.searched:
        return spec
    return apply_choice(spec, trials.read_best_config(FolderFiles(job.folders()["search"])))


def results_of(trained: Trained) -> TrainResults:
    """Returns the results of a training for its artifact's record."""
    last = trained.history[-1]
    results: TrainResults = {
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
    if trained.other:
        row = trained.other.row
        results |= {"other_step": row["step"], "other_validation_accuracy": row["validation_accuracy"]}
    return results


def commit(
    job: Job, spec: TrainSpec, trained: Trained, world: World, start: float, slot_seconds: float | None = None
) -> Artifact:
    """Commit a training's artifact. Arguments are those of ``Job.commit``.

    An artifact that is there already lacked a snapshot (``pipeline/snapshots.py``), and is given those alone.
    """
    with job.store.scratch() as scratch:
        about = dataset.read_about(FolderFiles(job.folders()["data"]))
        for step, weights in trained.snapshots.items():
            write_safetensors(scratch / files.snapshot_file(step), weights, about.class_names)
        earlier = job.store.find(job.identity) if trained.snapshots else None
        if earlier is not None:
            return job.extend(earlier, scratch, start, slot_seconds, world.size)
        write_safetensors(scratch / WEIGHTS, trained.weights, about.class_names)
        if trained.other:
            write_safetensors(scratch / OTHER_WEIGHTS, trained.other.tensors, about.class_names)
        files.write(scratch, trained.history, trained.assignment_counts, trained.learned_step)
        results = {
            **results_of(trained),
            "weights_sha256": hashlib.sha256((scratch / WEIGHTS).read_bytes()).hexdigest(),
            "workers": world.size,
            "taught_with": {
                "temperature": spec.guidance.temperature,
                "kd_weight": spec.guidance.kd_weight,
                "ce_weight": spec.guidance.labels_weight,
                "loss": spec.guidance.loss,
                "loss_parameters": spec.guidance.loss_parameters.get(spec.guidance.loss, {}),
                "experts": list(spec.guidance.experts),
                "curriculum": spec.curriculum.model_dump(mode="json") if spec.curriculum else None,
                "learning_rate": spec.optimizer.learning_rate,
                **({"early": spec.guidance.early} if spec.guidance.early else {}),
            },
        }
        return job.commit(scratch, start, results, slot_seconds, world.size)
