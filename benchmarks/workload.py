"""Workload of the benchmarks: CIFAR-sized images, a ResNet-8 student, experts ResNet 14, 20, 32 and 56."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
import torch

from benchmarks.floor import MEAN, STD
from curricula import pacing, selection
from curricula.curriculum import Curriculum
from orchestrator.artifacts import dataset
from orchestrator.artifacts.dataset import Counts, DatasetAbout
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.scores import ScoreAbout, Scores, ScoreWriter, StoredViews
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.pipeline.specs import GuidanceSpec, NetworkSpec, TrainSpec
from orchestrator.recipe.choices import OptimizerSpec
from orchestrator.training.data.images import ResidentImages, TrainingData
from orchestrator.training.networks import new_network
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
    resident = ResidentImages(images, MEAN, STD, "crop_flip", 0, images.device)
    return TrainingData(resident, labels, everything, everything[:validation], everything[:validation], CLASSES)


def train_spec(
    steps: int, kind: Literal["labels", "single", "dense", "selected"], source: Literal["none", "online", "cached"],
    precision: Literal["fp32", "bf16"], threads: int, views: int = 2, compiled: bool = False,
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
        compile=compiled,
    )


def static_curriculum(count: int) -> Curriculum:
    """A quarter of the images to each expert, all in play: the steady state of CES-KD."""
    ranks = np.random.default_rng(1).permutation(count) / count
    chosen = selection.select("stratified", ranks, len(EXPERTS))
    return Curriculum(chosen, pacing.make("linear", 0.5, 0.5), "static", len(EXPERTS))


def logits_table(folder: Path, count: int, views: int) -> list[StoredViews]:
    """Stored logits, memory-mapped as the score stage leaves them; of random numbers."""
    write_scores(folder, count, views)
    scores = Scores({"score": FolderFiles(folder)})
    return [scores.views(expert) for expert in EXPERTS]


def write_scores(folder: Path, count: int, views: int) -> None:
    """The files of a score stage's artifact over random logits."""
    writer = ScoreWriter(folder, ScoreAbout(EXPERTS, EXPERTS, views, CLASSES), count)
    logits = np.stack(
        [np.random.default_rng(e).normal(size=(views, count, CLASSES)) for e in range(len(EXPERTS))]
    ).astype(np.float16)
    writer.put(np.arange(count), logits[:, 0].swapaxes(0, 1), logits.transpose(2, 0, 1, 3), None)
    generator = np.random.default_rng(0)
    writer.finish({"label": generator.integers(0, CLASSES, count), "mean_loss": generator.random(count)})


def artifacts(store: Store, count: int) -> dict[str, Artifact]:
    """Random images and untrained experts as a stage finds them: by role, ``data`` and ``expert:<name>``."""
    images, labels = pixels(count)
    about = DatasetAbout(
        classes=CLASSES, class_names=tuple(map(str, range(CLASSES))), image_shape=(3, 32, 32), image_size=32,
        counts=Counts(count - VALIDATION, VALIDATION, 0, 0), broken=(), layout="arrays",
        mean=tuple(MEAN), std=tuple(STD),
    )  # fmt: skip
    subset = np.zeros(count, np.uint8)
    subset[:VALIDATION] = 1
    with store.scratch() as scratch:
        dataset.write_arrays(scratch, about, labels.numpy(), subset, images.numpy(), None)
        found = {"data": store.commit(Artifact("data", "ingest", "data", {}, {}, 0.0, 0.0, "here"), scratch)}
    for name in EXPERTS:
        with store.scratch() as scratch:
            safetensors.torch.save_file(new_network(network_spec(name), 0).state_dict(), scratch / WEIGHTS)
            spec = {"network": network_spec(name).model_dump(mode="json")}
            expert = Artifact(f"expert-{name}", "train", name, spec, {}, 0.0, 0.0, "here")
            found[f"expert:{name}"] = store.commit(expert, scratch)
    return found


def search_inputs(folder: Path, count: int) -> dict[str, Artifact]:
    """Returns the inputs of a search: images, and a score stage's artifact of random logits."""
    store = Store(str(folder))
    with store.scratch() as scratch:
        write_scores(scratch, count, views=2)
        score = store.commit(Artifact("score", "score", "score", {}, {}, 0.0, 0.0, "here"), scratch)
    return {"data": artifacts(store, count + VALIDATION)["data"], "score": score}


def trial_spans(storage: Path) -> list[tuple[float, float]]:
    """Returns start and end of each trial below a storage, in unix seconds, from the files that Tune writes."""
    found = []
    for path in storage.glob("logs/*/trial-*/result.json"):
        last = json.loads(path.read_text().splitlines()[-1])
        found.append((last["timestamp"] - last["time_total_s"], last["timestamp"]))
    return found


@contextmanager
def local_ray() -> Iterator[None]:
    """Context manager of a local Ray for a benchmark, started as a run starts it."""
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

    def checkpoint_is_due(self) -> bool:
        return False

    def checkpoint(self, state: Callable[[], bytes]) -> None:
        return None

    def tick(self, step: int, steps: int, timing: Timing) -> None:
        return None
