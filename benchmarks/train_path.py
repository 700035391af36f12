"""train path: the same training bare, in a Ray Train worker and in a Tune trial; its loop's own seconds.

Process starts are left out (`graph` measures them); reports, checkpoints and curves are in.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks import workload
from benchmarks.measure import Spread
from orchestrator.artifacts import Artifact, Store
from orchestrator.recipe import Resources
from orchestrator.report.text import table
from orchestrator.specs import SearchSpec, SpaceSpec, TrainSpec
from orchestrator.stages import search, train
from orchestrator.stages.job import Job
from orchestrator.training.guidance import Guidance
from orchestrator.training.loop import train as loop
from orchestrator.training.networks import new_network


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark; one thread a process, whatever ``threads`` says."""
    import ray

    count = 2_560
    passes = 3 if short else 6
    steps = passes * -(-count // workload.BATCH)
    spec = workload.train_spec(steps, "labels", "none", "bf16", threads=1)
    spec = spec.model_copy(update={"evaluate_every": steps // passes})
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = {"data": workload.artifacts(Store(folder), count + workload.VALIDATION)["data"]}
        ray.init(log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
        for number in range(rounds):
            sides: dict[str, Callable[[], float]] = {
                "bare": lambda: _bare(spec, count),
                "Ray Train worker": lambda number=number: _ray_train(spec, folder, inputs, number),  # type: ignore[misc]
                "Tune trial": lambda number=number: _tune(spec, folder, inputs, number),  # type: ignore[misc]
            }
            for name in list(sides) if number % 2 else list(sides)[::-1]:
                found.setdefault(name, []).append(sides[name]())
            print(f"  round {number + 1} of {rounds}")
        ray.shutdown()
    rows = []
    for name in ("bare", "Ray Train worker", "Tune trial"):
        speed = Spread.of([bare / mine for bare, mine in zip(found["bare"], found[name], strict=True)])
        rows.append((name, f"{passes * count / Spread.of(found[name]).median:,.0f}", speed))
    return table(("where the loop runs", "images/s", "of its bare speed"), rows)


def _bare(spec: TrainSpec, count: int) -> float:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # a fresh process, as the others are
        return pool.submit(_bare_here, spec, count).result()


def _bare_here(spec: TrainSpec, count: int) -> float:
    torch.set_num_threads(spec.threads)
    data = workload.data(*workload.pixels(count + workload.VALIDATION))
    network = new_network(spec.network, spec.seed)
    trained = loop(spec, network, data, Guidance(spec.guidance), device=torch.device("cpu"), observer=workload.Silent())
    return trained.seconds


def job_of(kind: str, spec: TrainSpec | SearchSpec, folder: str, inputs: dict[str, Artifact], number: int) -> Job:
    """A stage over the inputs; ``number`` tells it from others of its kind."""
    return Job(
        kind=kind, name=kind, identity=f"{kind}-{number:020d}", spec=spec.model_dump(mode="json"),
        settings={"role": "ladder", "workers": 1}, inputs=inputs, storage=folder, dataset_root="",
        resources=Resources(),
    )  # fmt: skip


def _ray_train(spec: TrainSpec, folder: str, inputs: dict[str, Artifact], number: int) -> float:
    job = job_of("train", spec.model_copy(update={"seed": number}), folder, {}, number)
    artifact = train.run_ladder(job, {role: (role, item) for role, item in inputs.items()})
    return float(artifact.results["seconds"])


def _tune(spec: TrainSpec, folder: str, inputs: dict[str, Artifact], number: int) -> float:
    wanted = SearchSpec(
        student=spec.model_copy(update={"seed": number}), space=SpaceSpec(), trials=1, round_size=1, sampler="random",
        scheduler="none", rungs=(), warm_start=(), seed=number,
    )  # fmt: skip
    artifact = search.run(job_of("search", wanted, str(Path(folder)), inputs, number))
    return float(artifact.results["trials"][0]["seconds"])
