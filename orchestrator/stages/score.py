"""score: experts' logits and the difficulty of every training image, in parallel (Ray Data).

The artifact's files are those of ``artifacts/scores.py``. Logits go from the workers to memory-mapped files in blocks
of ``CHUNK`` images, so the memory of no process grows with the number of images, but for a few numbers an image.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import ray.data
import torch

from orchestrator.artifacts import dataset
from orchestrator.artifacts.reading import Array, FolderFiles
from orchestrator.artifacts.scores import ScoreAbout, ScoreWriter
from orchestrator.artifacts.store import Artifact
from orchestrator.artifacts.top_k import Records, record_type, shorten
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.pipeline.kinds import ScoreSpec
from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.stages.difficulty import DifficultyTable
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job
from orchestrator.stages.startup_cost import start_up_seconds
from orchestrator.stages.train import single_device
from orchestrator.training.data.images import load
from orchestrator.training.data.views import CLEAN
from orchestrator.training.evaluation import not_finite
from orchestrator.training.guidance.inference import ready_to_teach
from orchestrator.training.networks import load_network
from orchestrator.training.pace import Pace
from orchestrator.training.precision import autocast
from orchestrator.training.process import set_up_process

LARGEST = float(np.finfo(np.float16).max)
CHUNK = 256  # images a forward pass; fixed, since sums may be taken in another order with another batch size

Rows = dict[str, npt.NDArray[Any]]


def run(job: Job) -> Artifact:
    """Score the training images with the input experts.

    Raises:
        StageError: naming an expert whose logits are not finite, or too large for fp16, in which they are stored.
    """
    start = time.time()
    spec = ScoreSpec.from_plain(job.spec)
    folders = job.folders()
    data = dataset.read_about(FolderFiles(folders["data"]))
    count = data.counts.train
    job.say(doing=f"starting to score {count:,} images")
    with job.store.scratch() as scratch:
        about = ScoreAbout(spec.experts, spec.ladder, spec.views, data.classes)
        writer = ScoreWriter(scratch, about, count, spec.folds if spec.code else 0, spec.top_k)
        table = DifficultyTable(spec, folders, writer) if spec.ladder else None
        done, worker_seconds, pace = 0, 0.0, Pace(count)
        for rows in _scored(job, spec, count).iter_batches(batch_size=None, batch_format="numpy"):
            numbers = rows["number"]
            if spec.top_k:
                rows["views"] = as_records(rows["views"], record_type(data.classes, spec.top_k))
            check_finite(spec, rows)
            writer.put(numbers, rows["clean"], rows.get("views"), rows.get("folds"))
            if table:
                table.add(numbers, rows.get("folds"))
            done += len(numbers)
            worker_seconds += float(rows["seconds"].sum())
            pace.reached(done, time.monotonic())
            job.say(step=done, steps=count, unit="images", **vars(pace.timing()))
        results: dict[str, Any] = {"images": count, "views": spec.views}
        columns = None
        if table:
            columns, found = table.finish()
            results |= found
        writer.finish(columns)
        seconds = worker_seconds + job.processor_seconds()
        return job.commit(scratch, start, results, seconds, _workers(job, count))


def check_finite(spec: ScoreSpec, rows: Rows) -> None:
    """Raise StageError for logits that can't teach a network: not finite, or too large."""
    for number, expert in enumerate(spec.experts):
        clean = rows["clean"][:, number]
        if not np.isfinite(clean).all():
            image = rows["number"][~np.isfinite(clean).all(axis=1)][0]
            raise StageError(not_finite(expert, f", on training image {image} for one"))
        largest = np.abs(clean).max()
        if largest > LARGEST or (spec.views and not _finite(rows["views"][:, number])):
            raise StageError(
                f"the logits of {expert} are too large for fp16, in which they are stored: {largest:.3g} without "
                f"augmentation, where {LARGEST:,.0f} is the most; look at its weights and the normalisation that they "
                "were made for"
            )
    if spec.folds and not np.isfinite(rows["folds"]).all():
        raise StageError(not_finite("a held-out fold's network"))


def _finite(views: Array) -> bool:
    stored = views["logits"] if views.dtype.names else views
    return bool(np.isfinite(stored).all())


def as_records(sent: npt.NDArray[np.uint8], kind: np.dtype[np.void]) -> Records:
    """Returns records (...) from their bytes (..., size of one): Arrow has no tensors of records."""
    return np.ascontiguousarray(sent).view(kind)[..., 0]


def _scored(job: Job, spec: ScoreSpec, count: int) -> ray.data.Dataset:
    """Rows with ``number``, ``clean`` (E, C), ``views`` (E, K, C), ``folds`` (F, C) and ``seconds``, in no order.

    Where only the largest logits are stored, ``views`` has the bytes of records (E, K, bytes).

    On GPUs, actors: each opens the experts there once, and gives the GPU's memory back when it ends. On CPUs, tasks,
    which take the processes that Ray has already: an actor would begin with importing torch again, for some seconds.
    """
    chunks = [{"start": start, "stop": min(start + CHUNK, count)} for start in range(0, count, CHUNK)]
    dataset = ray.data.from_items(chunks, override_num_blocks=len(chunks))
    ask: dict[str, Any] = {"batch_size": 1, "batch_format": "numpy", "num_cpus": job.placement.cpus}
    workers, gpus = _workers(job, count), job.placement.gpus
    if gpus:
        pool = ray.data.ActorPoolStrategy(size=workers)
        return dataset.map_batches(ExpertRunner, fn_constructor_args=(job,), compute=pool, num_gpus=gpus, **ask)
    tasks = ray.data.TaskPoolStrategy(size=workers)
    return dataset.map_batches(_score_chunk, fn_args=(job,), compute=tasks, **ask)  # type: ignore[arg-type]


def _workers(job: Job, count: int) -> int:
    return min(job.placement.workers, -(-count // CHUNK))


_runner: ExpertRunner | None = None  # of this process


def _score_chunk(chunk: Rows, job: Job) -> Rows:
    """One chunk, in a process that has done others of the same stage or opens the experts now."""
    global _runner
    if _runner is None or _runner.identity != job.identity:
        _runner = None  # gone before the next one is there
        _runner = ExpertRunner(job)
    return _runner(chunk)


class ExpertRunner:
    """All experts of a stage, opened once; reads each image once for all of them."""

    def __init__(self, job: Job) -> None:
        began = time.monotonic() - start_up_seconds()
        self.identity = job.identity
        spec = ScoreSpec.from_plain(job.spec)
        set_up_process(spec.threads)
        self.spec, self.device = spec, single_device(job)
        folders = job.folders()
        self.data = load(
            folders["data"], root=job.dataset_root, augmentation=spec.augmentation, views_seed=spec.views_seed,
            device=self.device, decoders=job.resources.cpus,
        )  # fmt: skip
        self.bf16 = spec.precision == "bf16"
        self.experts = [
            self._open(network, folders[f"expert:{expert}"])
            for expert, network in zip(spec.experts, spec.networks, strict=True)
        ]
        self.folds = [self._open(spec.fold_network, folders[f"fold:{fold}"]) for fold in range(spec.folds)]
        self.start_up = time.monotonic() - began

    def _open(self, network: NetworkSpec | None, folder: Path) -> torch.nn.Module:
        assert network is not None, "folds without a network"
        return ready_to_teach(load_network(network, FolderFiles(folder).path(WEIGHTS)), self.device)

    @torch.inference_mode()
    def __call__(self, chunk: Rows) -> Rows:
        start = time.monotonic()
        numbers = np.arange(int(chunk["start"][0]), int(chunk["stop"][0]))
        shown = self.data.images.views(self.data.train[numbers], [CLEAN, *range(self.spec.views)])
        rows: Rows = {"number": numbers}
        rows["clean"] = np.stack([self._logits(expert, shown[0]) for expert in self.experts], axis=1)
        if self.spec.views:
            every = [np.stack([self._stored(expert, view) for view in shown[1:]], axis=1) for expert in self.experts]
            rows["views"] = np.stack(every, axis=1)
        if self.folds:
            rows["folds"] = np.stack([self._logits(fold, shown[0]) for fold in self.folds], axis=1)
        seconds = self.start_up + time.monotonic() - start
        self.start_up = 0.0  # counted once
        rows["seconds"] = np.full(len(numbers), seconds / len(numbers))
        return rows

    def _stored(self, network: torch.nn.Module, pixels: torch.Tensor) -> Array:
        """Returns logits of a view as they are stored: fp16 (B, classes), or bytes of records (B, bytes)."""
        logits = self._logits(network, pixels)
        if self.spec.top_k:
            return shorten(logits, self.spec.top_k)[:, None].view(np.uint8)
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            return logits.astype(np.float16)

    def _logits(self, network: torch.nn.Module, pixels: torch.Tensor) -> npt.NDArray[np.float32]:
        with autocast(self.device, self.bf16):
            return network(pixels).float().cpu().numpy()
