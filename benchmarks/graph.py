"""graph: the program's overhead around the work: a rerun with nothing to do, and the start of Ray's processes.

``Ray Train start`` is from the call to the first step's process being ready; the first of a run also starts Ray's
helper processes, so it is listed separately.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from benchmarks import workload
from benchmarks.measure import Spread, seconds
from benchmarks.train_path import job_of
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.export.warnings import quietly
from orchestrator.pipeline.specs import SearchSpec
from orchestrator.recipe.search_space import SpaceSpec
from orchestrator.report.markdown import table
from orchestrator.stages import ray_train, search

TINY = (
    "mnist5k", "training.steps=20", "ladder.networks=[plain_cnn_6,plain_cnn_4,plain_cnn_2]", "methods=[labels,kd]",
    "seeds=[0]", "dataset.validation=100", "search.trials=0",
)  # fmt: skip


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "orchestrator.run", *TINY, "--storage", folder, "--quiet"]
        subprocess.run(command, check=True, capture_output=True)
        bare = [sys.executable, "-c", "import numpy"]
        idle, floor = (
            [seconds(lambda words=words: subprocess.run(words, check=True, capture_output=True)) for _ in range(rounds)]  # type: ignore[misc]
            for words in (command, bare)
        )
        print("  no-op reruns done")
        inputs = {"data": workload.artifacts(Store(f"{folder}/starts"), 512)["data"]}
        fits, empties, tunes = [], [], []
        with workload.local_ray():
            for number in range(rounds + 1):
                fits.append(_fit_start(f"{folder}/starts", inputs, number))
                empties.append(_empty_fit_start(f"{folder}/empty-{number}"))
                tunes.append(_tune_start(f"{folder}/starts", inputs, number))
                print(f"  round {number} of {rounds}", flush=True)
    rows = [
        ("python with numpy", Spread.of(floor)),
        ("rerun with nothing to do, whole process", Spread.of(idle)),
        ("Ray Train start, the first", f"{fits[0]:.2f}"),
        ("Ray Train start, after that", Spread.of(fits[1:])),
        ("Ray Train start of a function that does nothing, after that", Spread.of(empties[1:])),
        ("search of one trial, without its loop, the first", f"{tunes[0]:.2f}"),
        ("search of one trial, without its loop, after that", Spread.of(tunes[1:])),
    ]
    return table(("what", "seconds"), rows)


def _fit_start(folder: str, inputs: dict[str, Artifact], number: int) -> float:
    spec = workload.train_spec(2, "labels", "none", "fp32", threads=1).model_copy(update={"seed": number})
    asked = time.time()
    artifact = ray_train.run(
        job_of("train", spec, folder, {}, number), {role: (role, item) for role, item in inputs.items()}
    )
    return artifact.start - asked


def _empty_fit_start(folder: str) -> float:
    """Returns seconds from a request for one Ray Train worker to its function's first line: Ray's share of a start."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    def begin() -> float:  # goes to the worker by value, and brings no module of ours along
        return time.time()

    asked = time.time()
    trainer = TorchTrainer(
        begin,  # type: ignore[arg-type]  # may return a value since Train v2
        scaling_config=ScalingConfig(num_workers=1),
        run_config=RunConfig(storage_path=folder),
    )
    return float(trainer.fit().return_value) - asked  # type: ignore[attr-defined]  # v2


def _tune_start(folder: str, inputs: dict[str, Artifact], number: int) -> float:
    spec = SearchSpec(
        student=workload.train_spec(2, "labels", "none", "fp32", threads=1), space=SpaceSpec(), trials=1, round_size=1,
        sampler="random", scheduler="none", rungs=(), warm_start=(), seed=number,
    )  # fmt: skip
    start = time.perf_counter()
    with quietly():
        artifact = search.run(job_of("search", spec, folder, inputs, number))
    return time.perf_counter() - start - float(artifact.results["trials"][0]["seconds"])
