"""Accuracy of one network by one worker and by four, over seeds: the difference should be within the spread of seeds.

Each number of workers trains the same networks from the same seeds, with statistics of batch normalisation over whole
batches and over a quarter of each. Processes on this machine's CPU with gloo, without Ray.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing

from benchmarks import workload
from orchestrator import datasets
from orchestrator.datasets import TEST, TRAIN, VALIDATION, ArrayImages, DatasetRecipe
from orchestrator.pipeline.specs import GuidanceSpec, NetworkSpec, TrainSpec
from orchestrator.recipe.choices import OptimizerSpec
from orchestrator.report.markdown import table
from orchestrator.training.data.images import ResidentImages, TrainingData
from orchestrator.training.guidance.kinds import new_teaching
from orchestrator.training.loop import train
from orchestrator.training.networks import new_network
from orchestrator.training.process import set_up_process
from orchestrator.training.world import World

WORKERS = 4
BATCH = 64
NORM_BATCHES = (None, BATCH // WORKERS)
IMAGES = 1000  # to train on, or a few more: few enough that seeds differ
CPU = torch.device("cpu")


def run(rounds: int, short: bool, threads: int) -> str:
    """Returns the table; ``rounds`` is the number of seeds."""
    steps = 120 if short else 400
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for size in (1, WORKERS):
            torch.multiprocessing.spawn(_work, args=(size, folder, rounds, steps), nprocs=size)
        found = {size: json.loads((Path(folder) / f"{size}.json").read_text()) for size in (1, WORKERS)}
    for norm_batch in NORM_BATCHES:
        alone, together = (found[size][str(norm_batch)] for size in (1, WORKERS))
        apart = [abs(one - other) for one, other in zip(alone, together, strict=True)]
        for size, accuracies in ((1, alone), (WORKERS, together)):
            mean, spread = statistics.mean(accuracies), statistics.stdev(accuracies)
            rows.append((f"{norm_batch or BATCH}", f"{size}", f"{mean:.2%}", f"{spread:.2%}", f"{max(apart):.2%}"))
    head = ("norm group", "workers", "test accuracy", "std over seeds", "largest difference of a seed")
    return f"{rounds} seeds, {steps} steps of {BATCH} images, plain_cnn_4 on mnist5k\n\n{table(head, rows)}"


def _work(rank: int, size: int, folder: str, seeds: int, steps: int) -> None:
    set_up_process(1)
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    data = _data()
    found = {
        str(norm_batch): [_accuracy(_spec(seed, steps, norm_batch), data, World(rank, size)) for seed in range(seeds)]
        for norm_batch in NORM_BATCHES
    }
    if rank == 0:
        (Path(folder) / f"{size}.json").write_text(json.dumps(found))
    if size > 1:
        dist.destroy_process_group()


def _data() -> TrainingData:
    loaded = datasets.load(DatasetRecipe(name="mnist5k", validation=500))
    assert isinstance(loaded, ArrayImages)
    images = ResidentImages(torch.from_numpy(loaded.images), [0.13], [0.31], "crop", 0, CPU)
    train_, validation, test = (np.flatnonzero(loaded.subset == part) for part in (TRAIN, VALIDATION, TEST))
    # Tested on what the last validation is made on; nothing is chosen by it.
    few = train_[:: len(train_) // IMAGES]  # they lie by class
    return TrainingData(images, torch.from_numpy(loaded.labels), few, test, validation, 10)


def _spec(seed: int, steps: int, norm_batch: int | None) -> TrainSpec:
    return TrainSpec(
        network=NetworkSpec(name="plain_cnn_4", classes=10, channels=1, image_size=28),
        guidance=GuidanceSpec(kind="labels"),
        optimizer=OptimizerSpec(learning_rate=0.05),
        steps=steps,
        batch_size=BATCH,
        augmentation="crop",
        views=0,
        views_seed=0,
        precision="fp32",
        evaluate_every=steps,
        keep="last",
        seed=seed,
        threads=1,
        norm_batch=norm_batch,
    )


def _accuracy(spec: TrainSpec, data: TrainingData, world: World) -> float:
    network, teaching = new_network(spec.network, spec.seed), new_teaching(spec.guidance, seed=spec.seed)
    return train(spec, network, data, teaching, device=CPU, observer=workload.Silent(), world=world).validation_accuracy
