"""score: the score stage's Ray Data pass against a bare forward loop over the same images and experts in bf16.

The bare loop is as many processes as the stage uses, each with one thread: the machine's rate of forward passes only.
It runs twice, with the networks as they are and with batch norm folded into them, as the stage has them. The stage is
measured without the start of its processes, which ``graph`` measures: its rate is that of all images from the first
chunk that is done to the last.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks import workload
from benchmarks.measure import Spread
from orchestrator.artifacts.store import Store
from orchestrator.export.warnings import quietly
from orchestrator.pipeline.kinds import ScoreSpec
from orchestrator.pipeline.placement import Placement
from orchestrator.recipe.resources import Resources
from orchestrator.report.markdown import table
from orchestrator.stages import score
from orchestrator.stages.job import Job
from orchestrator.stages.status import NoStatusReceiver, Status
from orchestrator.training.guidance.inference import ready_to_teach
from orchestrator.training.networks import new_network
from orchestrator.training.process import set_up_process

_experts: dict[str, list[torch.nn.Module]] = {}  # of a process of the bare loop, as they are and folded
VIEWS = 1
WORKERS = 2
BARE, FOLDED = "bare forward loop", "bare forward loop, batch norm folded"
STAGE, WHOLE = "score stage, once its processes run", "score stage, whole, with the start of its processes"


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark; one thread a process, ``threads`` is ignored."""
    count = 5_120 if short else 20_000
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        job = _job(Path(folder), count + workload.VALIDATION)
        list(pool.map(_open, range(WORKERS)))  # processes are up, torch imported, the code warm
        found: dict[str, list[float]] = {name: [] for name in (BARE, FOLDED, STAGE, WHOLE)}
        with workload.local_ray():
            for number in range(rounds):
                sides: list[Callable[[], None]] = [
                    lambda: found[BARE].append(_bare(pool, "plain", count)),
                    lambda: found[FOLDED].append(_bare(pool, "folded", count)),
                    lambda number=number: _stage(job, number, count, found),  # type: ignore[misc]
                ]
                for side in sides if number % 2 else sides[::-1]:
                    side()
                print(f"  round {number + 1} of {rounds}", flush=True)
    rows = [
        (name, f"{Spread.of(rates).median:,.0f}", *(_ratio(rates, found[loop]) for loop in (BARE, FOLDED)))
        for name, rates in found.items()
    ]
    return (
        f"{count:,} images, {len(workload.EXPERTS)} experts, 1 + {VIEWS} views, bf16, {WORKERS} processes\n\n"
        + table(("pass", "images/s", "x bare loop", "x folded"), rows)
    )


def _bare(pool: ProcessPoolExecutor, networks: str, count: int) -> float:
    return sum(pool.map(_forwards, [count // WORKERS] * WORKERS, [networks] * WORKERS))


def _stage(job: Job, number: int, count: int, found: dict[str, list[float]]) -> None:
    clock = _Clock()
    start = time.perf_counter()
    with quietly():
        score.run(Job(**{**vars(job), "identity": f"score-{number:020d}", "status": clock}))
    found[WHOLE].append(count / (time.perf_counter() - start))
    found[STAGE].append(clock.rate())


def _ratio(mine: list[float], loop: list[float]) -> Spread:
    return Spread.of([a / b for a, b in zip(mine, loop, strict=True)])


class _Clock(NoStatusReceiver):
    """Records the times at which the stage reports how many images are done."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    def post(self, stage: str, status: Status) -> None:
        if status.get("unit") == "images":
            self.seen.append((time.perf_counter(), status["step"]))

    def rate(self) -> float:
        """Images a second from the first that are done to the last."""
        (first, begun), (last, done) = self.seen[0], self.seen[-1]
        return (done - begun) / (last - first)


def _open(_: int) -> None:
    set_up_process(1)
    networks = [new_network(workload.network_spec(name), 0).eval() for name in workload.EXPERTS]
    _experts["folded"] = [ready_to_teach(copy.deepcopy(network), torch.device("cpu")) for network in networks]
    _experts["plain"] = [network.to(memory_format=torch.channels_last) for network in networks]
    for name in _experts:
        _forwards(2 * score.CHUNK, name)


def _forwards(count: int, networks: str) -> float:
    """Images a second through all experts, each image in 1 + VIEWS views, in the plainest loop."""
    pixels = torch.randn(score.CHUNK, 32, 32, 3).permute(0, 3, 1, 2)
    start = time.perf_counter()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        for _ in range(0, count, score.CHUNK):
            for expert in _experts[networks]:
                for _ in range(1 + VIEWS):
                    expert(pixels)
    return count / (time.perf_counter() - start)


def _job(folder: Path, count: int) -> Job:
    spec = ScoreSpec(
        experts=workload.EXPERTS, networks=tuple(map(workload.network_spec, workload.EXPERTS)), views=VIEWS,
        views_seed=0, augmentation="crop_flip", precision="bf16", threads=1, ladder=workload.EXPERTS,
    )  # fmt: skip
    inputs = workload.artifacts(Store(str(folder)), count)
    return Job(
        kind="score", name="score", identity="", spec=spec.model_dump(mode="json"),
        inputs=inputs, storage=str(folder), dataset_root="", resources=Resources(),
        placement=Placement("ray_data", WORKERS),
    )  # fmt: skip
