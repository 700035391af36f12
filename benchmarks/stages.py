"""stages: what the driver spends on a stage, on graphs of stages that do nothing, from small to large.

Half of the stages are students after one data set, the other half are each after one student, as evaluations are. Time
in which the driver waits for Ray does not count; the linear part of its CPU time is what one more stage costs.
"""

from __future__ import annotations

import dataclasses
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.artifacts.store import Artifact, Store
from orchestrator.execution.cluster import ClusterWatch
from orchestrator.execution.executor import execute
from orchestrator.execution.run_state import RunState
from orchestrator.interruption import Interruption
from orchestrator.pipeline.graph import Stage
from orchestrator.pipeline.kinds import KINDS, IngestSpec
from orchestrator.pipeline.placement import Facts
from orchestrator.progress.display import Display
from orchestrator.progress.events import Events
from orchestrator.progress.forecast import Forecast
from orchestrator.progress.lines import Lines
from orchestrator.recipe import loading
from orchestrator.report.markdown import table
from orchestrator.stages.job import Job

SIZES = (51, 101, 201, 501, 1001)
SLOTS = 8  # logical CPUs


def install() -> None:
    """Let stages of these kinds do nothing; called in each of Ray's processes."""
    for name in ("train", "evaluate"):
        KINDS[name] = dataclasses.replace(
            KINDS[name], function="benchmarks.stages:nothing", outcome=lambda results: "done"
        )


def nothing(job: Job) -> Artifact:
    """A stage without work."""
    with job.store.scratch() as scratch:
        return job.commit(scratch, time.time(), {})


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark."""
    import ray

    from benchmarks import stages  # this module as Ray's processes import it

    sizes = SIZES[:3] if short else SIZES
    ray.init(
        address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
        runtime_env={"worker_process_setup_hook": stages.install},
    )  # fmt: skip
    try:
        install()
        _measure(21)  # starts the processes
        found = {size: _measure(size) for size in sizes}
    finally:
        ray.shutdown()
    slope, fixed = np.polyfit(list(found), [own for own, _ in found.values()], 1)
    residual = max(abs(own - fixed - slope * size) / own for size, (own, _) in found.items())
    rows = [
        (size, f"{1000 * own / size:.1f}", f"{1000 * took / size:.1f}", f"{size / took:.0f}")
        for size, (own, took) in found.items()
    ]
    return (
        table(("stages", "driver's CPU, ms a stage", "wall time, ms a stage", "stages a second"), rows)
        + f"\n\none more stage costs the driver {1000 * slope:.1f} ms; largest deviation from a line {residual:.0%}"
    )


def _measure(size: int) -> tuple[float, float]:
    """Returns the driver's CPU time and the wall time of a graph of a number of stages, in seconds."""
    graph = _graph(size)
    recipe, state = loading.load("mnist5k", []), RunState(graph, {})
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
        display: Display = Lines(False, log)
        events = Events(state, display, Forecast({}, 1))
        with Interruption() as interruption:
            own, begun = time.process_time(), time.perf_counter()
            outcome = execute(
                state, ClusterWatch(recipe), Store(folder), recipe, events, lambda: None, interruption
            )  # fmt: skip
            own, took = time.process_time() - own, time.perf_counter() - begun
    assert not outcome.failures
    print(f"  {size} stages done", flush=True)
    return own, took


def _graph(size: int) -> list[Stage]:
    def stage(kind: str, name: str, inputs: tuple[tuple[str, Stage], ...] = (), **facts: Any) -> Stage:
        return Stage(kind, name, IngestSpec(dataset={"name": name}, fingerprint=""), inputs, facts=Facts(**facts))

    data = stage("train", "data", part="student")
    students = [stage("train", f"student-{n}", (("data", data),), part="student") for n in range(size // 2)]
    tests = [stage("evaluate", f"test-{n}", (("network", item),)) for n, item in enumerate(students)]
    return [data, *students, *tests]
