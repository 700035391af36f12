"""score: experts' logits and the difficulty of every training image, in parallel (Ray Data).

The artifact's files are those of ``artifacts/scores.py``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import ray.data
import torch

from curricula.difficulty import Evidence, available, score, spearman
from orchestrator import user_code
from orchestrator.artifacts import dataset, trained
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.scores import ScoreAbout, Scores, ScoreWriter
from orchestrator.artifacts.store import Artifact
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.datasets import TRAIN
from orchestrator.pipeline.kinds import ScoreSpec
from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job
from orchestrator.stages.startup_cost import start_up_seconds
from orchestrator.stages.train import single_device
from orchestrator.training.data.folds import folds_of
from orchestrator.training.data.images import load
from orchestrator.training.data.views import CLEAN
from orchestrator.training.evaluation import not_finite
from orchestrator.training.guidance.inference import ready_to_teach
from orchestrator.training.networks import load_network
from orchestrator.training.pace import Pace
from orchestrator.training.precision import autocast
from orchestrator.training.process import set_up_process

CHUNK = 256  # images a forward pass; fixed, since sums may be taken in another order with another batch size

Rows = dict[str, npt.NDArray[Any]]


def run(job: Job) -> Artifact:
    """Score the training images with the input experts.

    Raises:
        StageError: naming an expert whose logits are not finite, or too large for the fp16 of stored views.
    """
    start = time.time()
    spec = ScoreSpec.from_plain(job.spec)
    folders = job.folders()
    data = dataset.read_about(FolderFiles(folders["data"]))
    count = data.counts.train
    job.say(doing=f"starting to score {count:,} images")
    with job.store.scratch() as scratch:
        about = ScoreAbout(spec.experts, spec.ladder, spec.views)
        writer = ScoreWriter(scratch, about, count, data.classes, spec.folds)
        done, worker_seconds, pace = 0, 0.0, Pace(count)
        for rows in _scored(job, spec, count).iter_batches(batch_size=None, batch_format="numpy"):
            numbers = rows["number"]
            check_finite(spec, rows)
            writer.put(numbers, rows["clean"], rows.get("views"), rows.get("folds"))
            done += len(numbers)
            worker_seconds += float(rows["seconds"].sum())
            pace.reached(done, time.monotonic())
            job.say(step=done, steps=count, unit="images", **vars(pace.timing()))
        results: dict[str, Any] = {"images": count, "views": spec.views}
        columns = None
        if spec.ladder:
            columns, found = _difficulty(spec, folders, writer)
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
        if spec.views and not np.isfinite(rows["views"][:, number]).all():
            raise StageError(
                f"the logits of {expert} are too large for fp16, in which views are stored: {np.abs(clean).max():.3g} "
                f"without augmentation, where {np.finfo(np.float16).max:,.0f} is the most; look at its weights and the "
                "normalisation that they were made for, or set distillation.source=online"
            )
    if spec.folds and not np.isfinite(rows["folds"]).all():
        raise StageError(not_finite("a held-out fold's network"))


def _scored(job: Job, spec: ScoreSpec, count: int) -> ray.data.Dataset:
    """Rows with ``number``, ``clean`` (E, C), ``views`` (E, K, C), ``folds`` (F, C) and ``seconds``, in no order.

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
            device=self.device, decoders=max(2, job.resources.cpus),
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
        return ready_to_teach(load_network(network, folder / WEIGHTS), self.device)

    @torch.inference_mode()
    def __call__(self, chunk: Rows) -> Rows:
        start = time.monotonic()
        numbers = np.arange(int(chunk["start"][0]), int(chunk["stop"][0]))
        shown = self.data.images.views(self.data.train[numbers], [CLEAN, *range(self.spec.views)])
        rows: Rows = {"number": numbers}
        rows["clean"] = np.stack([self._logits(expert, shown[0]) for expert in self.experts], axis=1)
        if self.spec.views:
            every = [np.stack([self._logits(expert, view) for view in shown[1:]], axis=1) for expert in self.experts]
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
                rows["views"] = np.stack(every, axis=1).astype(np.float16)
        if self.folds:
            rows["folds"] = np.stack([self._logits(fold, shown[0]) for fold in self.folds], axis=1)
        seconds = self.start_up + time.monotonic() - start
        self.start_up = 0.0  # counted once
        rows["seconds"] = np.full(len(numbers), seconds / len(numbers))
        return rows

    def _logits(self, network: torch.nn.Module, pixels: torch.Tensor) -> npt.NDArray[np.float32]:
        with autocast(self.device, self.bf16):
            return network(pixels).float().cpu().numpy()


def _difficulty(
    spec: ScoreSpec, folders: dict[str, Path], writer: ScoreWriter
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Returns the columns of the difficulty table, and the results: rank correlations with a known severity, and more.

    A learned step is that of the smallest expert; there is none where its weights were brought.
    """
    data = FolderFiles(folders["data"])
    train = np.flatnonzero(dataset.read_subset(data) == TRAIN)
    labels = dataset.read_labels(data)[train]
    earlier = Scores.among(folders)
    here = dict(zip(spec.experts, writer.clean, strict=True))
    logits = [here[expert] if expert in here else earlier.clean(expert) for expert in spec.ladder]
    evidence = Evidence(
        labels=labels,
        logits=logits,
        fold_logits=writer.folds,
        fold=folds_of(len(train), spec.folds, spec.views_seed) if spec.folds else None,
        learned_step=trained.read_learned_step(FolderFiles(folders[f"expert:{spec.ladder[0]}"])),
        image=train,
    )
    columns: dict[str, npt.NDArray[Any]] = {"image": train, "label": labels}
    if evidence.fold is not None:
        columns["fold"] = np.asarray(evidence.fold)
    scores = {name: score(name, evidence) for name in available(evidence)}
    scores |= {name: score(user_code.load(name), evidence) for name in spec.code}
    columns |= scores
    severity = dataset.read_severity(data)
    found: dict[str, Any] = {"difficulties": sorted(scores)}
    if severity is not None:
        columns["severity"] = severity[train].astype(np.float64)
        found["severity_correlation"] = {name: spearman(values, columns["severity"]) for name, values in scores.items()}
    right = {name: np.argmax(its, axis=1) == labels for name, its in zip(spec.ladder, logits, strict=True)}
    found["experts_right"] = {name: float(its.mean()) for name, its in right.items()}
    return columns, found
