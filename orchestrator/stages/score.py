"""score: every expert's logits and the difficulty of every training image, in parallel (Ray Data, an actor class).

Files of the artifact: ``score.json`` (the experts, smallest first), ``clean-<e>.npy`` float32 (N, classes) without
augmentation, ``views-<e>.npy`` fp16 (views, N, classes) where guidance is cached, and ``difficulty.parquet`` with a
row per training image: its index, label, severity where it is known, fold, and every difficulty.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import ray.data
import torch

from curricula.difficulty import Evidence, available, score, spearman
from orchestrator import own_code
from orchestrator.artifacts import Artifact
from orchestrator.specs import NetworkSpec, ScoreSpec
from orchestrator.stages.job import Job
from orchestrator.stages.train import single_device
from orchestrator.training.images import load
from orchestrator.training.inference import ready_to_teach
from orchestrator.training.loop import folds_of
from orchestrator.training.networks import WEIGHTS, load_network
from orchestrator.training.precision import autocast, uses_bf16
from orchestrator.training.process import set_up_process
from orchestrator.training.teaching import DIFFICULTY, SCORE
from orchestrator.training.views import CLEAN

CHUNK = 256  # images a forward pass; fixed, since sums may be taken in another order with another batch size
FORWARDS_AN_ACTOR = 40_000  # with fewer to do, another actor's start would take longer than the work

Rows = dict[str, npt.NDArray[Any]]


def run(job: Job) -> Artifact:
    """Score the training images with the input experts."""
    start = time.time()
    spec = ScoreSpec.from_plain(job.spec)
    folders = job.folders()
    about = json.loads((folders["data"] / "dataset.json").read_text())
    count, classes = about["counts"]["train"], about["classes"]
    job.say(doing=f"starting to score {count:,} images")
    with job.store.scratch() as scratch:
        clean = [_array(scratch / f"clean-{e}.npy", np.float32, (count, classes)) for e in range(len(spec.experts))]
        views = [
            _array(scratch / f"views-{e}.npy", np.float16, (spec.views, count, classes))
            for e in range(len(spec.experts) if spec.views else 0)
        ]
        folds = np.zeros((spec.folds, count, classes), np.float32)
        done, actor_seconds = 0, 0.0
        for rows in _scored(job, spec, count).iter_batches(batch_size=None, batch_format="numpy"):
            numbers = rows["number"]
            for expert in range(len(spec.experts)):
                clean[expert][numbers] = rows["clean"][:, expert]
                if spec.views:
                    views[expert][:, numbers] = rows["views"][:, expert].transpose(1, 0, 2)
            if spec.folds:
                folds[:, numbers] = rows["folds"].transpose(1, 0, 2)
            done += len(numbers)
            actor_seconds += float(rows["seconds"].sum())
            job.say(step=done, steps=count, unit="images")
        results: dict[str, Any] = {"images": count, "views": spec.views}
        if spec.difficulties:
            results |= _write_difficulty(scratch, spec, folders, clean, folds)
        for array in (*clean, *views):
            array.flush()
        (scratch / SCORE).write_text(json.dumps({"experts": list(spec.experts), "views": spec.views}))
        return job.commit(scratch, start, results, actor_seconds, _actors(job, spec, count))


def _array(path: Path, kind: Any, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    return np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)


def _scored(job: Job, spec: ScoreSpec, count: int) -> ray.data.Dataset:
    """Rows with ``number``, ``clean`` (E, C), ``views`` (E, K, C), ``folds`` (F, C) and ``seconds``, in no order."""
    resources = job.resources
    chunks = [{"start": start, "stop": min(start + CHUNK, count)} for start in range(0, count, CHUNK)]
    return ray.data.from_items(chunks, override_num_blocks=len(chunks)).map_batches(
        Scorer,
        fn_constructor_args=(job,),
        batch_size=1,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=_actors(job, spec, count)),
        num_cpus=spec.threads,
        num_gpus=resources.student_gpus or None,
    )


def _actors(job: Job, spec: ScoreSpec, count: int) -> int:
    forwards = count * (len(spec.experts) * (1 + spec.views) + spec.folds)
    return max(1, min(job.settings["actors"], -(-count // CHUNK), forwards // FORWARDS_AN_ACTOR))


class Scorer:
    """One actor: all experts, loaded once; reads each image once for all of them."""

    def __init__(self, job: Job) -> None:
        spec = ScoreSpec.from_plain(job.spec)
        set_up_process(spec.threads)
        self.spec, self.device = spec, single_device(job)
        folders = job.folders()
        self.data = load(
            folders["data"], root=job.dataset_root, augmentation=spec.augmentation, views_seed=spec.views_seed,
            device=self.device, decoders=max(2, job.resources.cpus),
        )  # fmt: skip
        self.bf16 = uses_bf16(spec.precision, self.device)
        self.experts = [
            self._open(network, folders[f"expert:{expert}"])
            for expert, network in zip(spec.experts, spec.networks, strict=True)
        ]
        self.start_up = time.process_time()
        self.folds = [self._open(spec.fold_network, folders[f"fold:{fold}"]) for fold in range(spec.folds)]

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


def _write_difficulty(
    scratch: Path, spec: ScoreSpec, folders: dict[str, Path], clean: list[Any], folds: npt.NDArray[np.float32]
) -> dict[str, Any]:
    """Write ``difficulty.parquet``; gives each difficulty's rank correlation with a known severity."""
    subset = np.load(folders["data"] / "subset.npy")
    train = np.flatnonzero(subset == 0)
    labels = np.load(folders["data"] / "labels.npy")[train]
    learned = _learned_step(spec, folders)
    evidence = Evidence(
        labels=labels,
        logits=clean,
        fold_logits=folds if spec.folds else None,
        fold=folds_of(len(train), spec.folds, spec.views_seed) if spec.folds else None,
        learned_step=learned,
        image=train,
    )
    columns: dict[str, npt.NDArray[Any]] = {"image": train, "label": labels}
    if evidence.fold is not None:
        columns["fold"] = np.asarray(evidence.fold)
    scores = {name: score(name, evidence) for name in available(evidence)}
    scores |= {name: score(own_code.load(name), evidence) for name in spec.code}
    columns |= scores
    severity_file = folders["data"] / "severity.npy"
    found: dict[str, Any] = {"difficulties": sorted(scores)}
    if severity_file.exists():
        columns["severity"] = np.load(severity_file)[train].astype(np.float64)
        found["severity_correlation"] = {name: spearman(values, columns["severity"]) for name, values in scores.items()}
    right = np.stack([np.argmax(logits, axis=1) == labels for logits in clean])
    found["experts_right"] = {name: float(right[e].mean()) for e, name in enumerate(spec.experts)}
    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), scratch / DIFFICULTY)
    return found


def _learned_step(spec: ScoreSpec, folders: dict[str, Path]) -> npt.NDArray[np.int64] | None:
    """What the smallest expert recorded while it was trained; none where its weights were brought."""
    path = folders[f"expert:{spec.experts[0]}"] / "learned_step.npy"
    return np.load(path) if path.exists() else None
