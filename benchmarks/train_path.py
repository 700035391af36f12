"""train path: the same training without Ray, in a Ray Train worker and in a Tune trial; seconds of its loop.

Measured from the end of the first pass, where memory and code are warm; ``graph`` measures starts. Reports, checkpoints
and curves of every pass are included.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks import workload
from benchmarks.measure import Spread
from orchestrator.artifacts.reading import StoredFiles
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.trained import read_history
from orchestrator.export.warnings import quietly
from orchestrator.pipeline.placement import Placement
from orchestrator.pipeline.specs import SearchSpec, TrainSpec
from orchestrator.recipe.resources import Resources
from orchestrator.recipe.search_space import SpaceSpec
from orchestrator.report.markdown import table
from orchestrator.stages import ray_train, search, trial
from orchestrator.stages.job import Job
from orchestrator.training.data.images import load
from orchestrator.training.guidance.kinds import new_teaching
from orchestrator.training.loop import train as loop
from orchestrator.training.networks import new_network
from orchestrator.training.process import set_up_process


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark; one thread a process, ``threads`` is ignored."""
    count = 2_560
    passes = 4 if short else 12
    steps = passes * -(-count // workload.BATCH)
    spec = workload.train_spec(steps, "labels", "none", "bf16", threads=1)
    spec = spec.model_copy(update={"evaluate_every": steps // passes})
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = {"data": workload.artifacts(Store(folder), count + workload.VALIDATION)["data"]}
        with workload.local_ray():
            for number in range(rounds):
                sides: dict[str, Callable[[], float]] = {
                    "bare": lambda: _bare(spec, folder, inputs),
                    "Ray Train worker": lambda number=number: _ray_train(spec, folder, inputs, number),  # type: ignore[misc]
                    "Tune trial": lambda number=number: _tune(spec, folder, inputs, number),  # type: ignore[misc]
                }
                for name in list(sides) if number % 2 else list(sides)[::-1]:
                    found.setdefault(name, []).append(sides[name]())
                print(f"  round {number + 1} of {rounds}", flush=True)
    rows = []
    for name in ("bare", "Ray Train worker", "Tune trial"):
        speed = Spread.of([bare / mine for bare, mine in zip(found["bare"], found[name], strict=True)])
        rows.append((name, f"{(passes - 1) * count / Spread.of(found[name]).median:,.0f}", speed))
    return table(("where the loop runs", "images/s", "of its bare speed"), rows)


def _bare(spec: TrainSpec, folder: str, inputs: dict[str, Artifact]) -> float:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # a fresh process, as the others are
        return pool.submit(_bare_here, spec, job_of("train", spec, folder, inputs, 0)).result()


def _bare_here(spec: TrainSpec, job: Job) -> float:
    set_up_process(spec.threads)
    device = torch.device("cpu")
    data = load(
        job.folders()["data"], root="", augmentation=spec.augmentation, views_seed=spec.views_seed, device=device,
        decoders=1,
    )  # fmt: skip
    network = new_network(spec.network, spec.seed)
    trained = loop(spec, network, data, new_teaching(spec.guidance), device=device, observer=workload.Silent())
    return _steady(trained.history)


def job_of(kind: str, spec: TrainSpec | SearchSpec, folder: str, inputs: dict[str, Artifact], number: int) -> Job:
    """Returns a stage over the inputs; ``number`` distinguishes it from others of its kind."""
    return Job(
        kind=kind, name=kind, identity=f"{kind}-{number:08d}{0:012d}", spec=spec.model_dump(mode="json"),
        inputs=inputs, storage=folder, dataset_root="", resources=Resources(), placement=Placement("ray_train"),
    )  # fmt: skip


def _ray_train(spec: TrainSpec, folder: str, inputs: dict[str, Artifact], number: int) -> float:
    job = job_of("train", spec.model_copy(update={"seed": number}), folder, {}, number)
    artifact = ray_train.run(job, {role: (role, item) for role, item in inputs.items()})
    return _steady(read_history(StoredFiles(Store(folder), artifact.identity)))


def _tune(spec: TrainSpec, folder: str, inputs: dict[str, Artifact], number: int) -> float:
    wanted = SearchSpec(
        student=spec.model_copy(update={"seed": number}), space=SpaceSpec(), trials=1, round_size=1, sampler="random",
        scheduler="none", rungs=(), warm_start=(), seed=number,
    )  # fmt: skip
    job = job_of("search", wanted, folder, inputs, number)
    with quietly():
        search.run(job)
    (reports,) = Path(folder, "logs", trial.log_folder(job)).glob("*/result.json")
    return _steady([json.loads(line) for line in reports.read_text().splitlines()])


def _steady(history: Sequence[Mapping[str, Any]]) -> float:
    """Seconds from the first validation to the last."""
    return float(history[-1]["seconds"] - history[0]["seconds"])
