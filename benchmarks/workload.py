"""What the benchmarks train: CIFAR-sized images, a ResNet-8 student, experts ResNet 14, 20, 32 and 56."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import torch

from benchmarks.floor import MEAN, STD
from curricula import pacing, selection
from curricula.curriculum import Curriculum
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.pipeline.specs import GuidanceSpec, NetworkSpec, TrainSpec
from orchestrator.recipe.choices import OptimizerSpec
from orchestrator.training.data.images import ResidentImages, TrainingData
from orchestrator.training.guidance.opening import DIFFICULTY, SCORE
from orchestrator.training.networks import WEIGHTS, new_network
from orchestrator.training.pace import Timing

STUDENT = "resnet8"
EXPERTS = ("resnet14", "resnet20", "resnet32", "resnet56")  # smallest first
CLASSES, BATCH = 10, 128
VALIDATION = 16  # images held back: a benchmark measures training


def network_spec(name: str) -> NetworkSpec:
    """A network on CIFAR-sized images."""
    return NetworkSpec(name=name, classes=CLASSES, channels=3, image_size=32)


def pixels(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images uint8 (count, 32, 32, 3) and labels; speed does not depend on what they show."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return torch.from_numpy(images), torch.from_numpy(generator.integers(0, CLASSES, count))


def data(images: torch.Tensor, labels: torch.Tensor, validation: int = VALIDATION) -> TrainingData:
    """The images as the program trains on them; the few validation images are training images too."""
    everything = np.arange(len(images))
    resident = ResidentImages(images, MEAN, STD, "crop_flip", 0, torch.device("cpu"))
    return TrainingData(resident, labels, everything, everything[:validation], everything[:validation], CLASSES)


def train_spec(
    steps: int, kind: Literal["labels", "single", "dense", "selected"], source: Literal["none", "online", "cached"],
    precision: Literal["fp32", "bf16"], threads: int, views: int = 2,
) -> TrainSpec:  # fmt: skip
    """A student's training as the benchmarks run it: no validation before its end."""
    experts = {"labels": (), "single": EXPERTS[-1:]}.get(kind, EXPERTS)
    return TrainSpec(
        network=network_spec(STUDENT),
        guidance=GuidanceSpec(kind=kind, experts=experts, source=source),
        optimizer=OptimizerSpec(learning_rate=0.01),
        steps=steps,
        batch_size=BATCH,
        augmentation="crop_flip",
        views=views,
        views_seed=0,
        precision=precision,
        evaluate_every=steps,
        keep="last",
        seed=0,
        threads=threads,
    )


def static_curriculum(count: int) -> Curriculum:
    """A quarter of the images to each expert, all in play: the steady state of CES-KD."""
    ranks = np.random.default_rng(1).permutation(count) / count
    chosen = selection.select("stratified", ranks, len(EXPERTS))
    return Curriculum(chosen, pacing.make("linear", 0.5, 0.5), "static", len(EXPERTS))


def logits_table(folder: Path, count: int, views: int) -> list[npt.NDArray[np.float16]]:
    """Stored logits, memory-mapped as the score stage leaves them; of random numbers."""
    arrays = []
    for number in range(len(EXPERTS)):
        values = np.random.default_rng(number).normal(size=(views, count, CLASSES)).astype(np.float16)
        np.save(folder / f"views-{number}.npy", values)
        arrays.append(np.load(folder / f"views-{number}.npy", mmap_mode="r"))
    return arrays


def write_scores(folder: Path, count: int, views: int) -> None:
    """The files of a score stage's artifact over random logits."""
    for number, values in enumerate(logits_table(folder, count, views)):
        np.save(folder / f"clean-{number}.npy", values[0].astype(np.float32))
    (folder / SCORE).write_text(json.dumps({"experts": list(EXPERTS), "views": views}))
    generator = np.random.default_rng(0)
    columns = {"label": generator.integers(0, CLASSES, count), "mean_loss": generator.random(count)}
    pq.write_table(pa.table(columns), folder / DIFFICULTY)


def artifacts(store: Store, count: int) -> dict[str, Artifact]:
    """Random images and untrained experts as a stage finds them: by role, ``data`` and ``expert:<name>``."""
    images, labels = pixels(count)
    about = {"layout": "arrays", "classes": CLASSES, "mean": MEAN, "std": STD, "counts": {"train": count - VALIDATION}}
    subset = np.zeros(count, np.uint8)
    subset[:VALIDATION] = 1
    with store.scratch() as scratch:
        (scratch / "dataset.json").write_text(json.dumps(about))
        np.save(scratch / "images.npy", images.numpy())
        np.save(scratch / "labels.npy", labels.numpy())
        np.save(scratch / "subset.npy", subset)
        found = {"data": store.commit(Artifact("data", "ingest", "data", {}, {}, 0.0, 0.0, "here"), scratch)}
    for name in EXPERTS:
        with store.scratch() as scratch:
            safetensors.torch.save_file(new_network(network_spec(name), 0).state_dict(), scratch / WEIGHTS)
            spec = {"network": network_spec(name).model_dump(mode="json")}
            expert = Artifact(f"expert-{name}", "train", name, spec, {}, 0.0, 0.0, "here")
            found[f"expert:{name}"] = store.commit(expert, scratch)
    return found


@contextmanager
def local_ray() -> Iterator[None]:
    """A Ray of the benchmark's own, for as long as it measures; started as a run starts its own."""
    import ray

    from orchestrator.execution.ray_connection import connect
    from orchestrator.interruption import Interruption

    connect(None, Interruption(), print)
    try:
        yield
    finally:
        ray.shutdown()


class Silent:
    """An observer that keeps nothing."""

    def load(self) -> bytes | None:
        return None

    def evaluated(self, row: dict[str, Any], state: Callable[[], bytes]) -> bool:
        return False

    def tick(self, step: int, steps: int, timing: Timing) -> None:
        return None
