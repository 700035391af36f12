"""memory: a student's training with and without the allocator settings of ``set_up_process``.

Each side is a new process, since the settings can't be reverted; it trains in a thread, as under Ray.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any, Literal

import torch

from benchmarks import workload
from benchmarks.measure import Spread
from orchestrator.report.markdown import table
from orchestrator.training.guidance.kinds import new_teaching
from orchestrator.training.loop import train
from orchestrator.training.networks import new_network
from orchestrator.training.process import set_up_process

NETWORKS = ("resnet8", "resnet32")
SIDES = {"as glibc has it": False, "freed memory kept": True}


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark."""
    count = 1_280 if short else 5_120
    rows = []
    for name in NETWORKS:
        for precision in ("fp32", "bf16"):
            found: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
            for number in range(rounds):
                for side in list(SIDES) if number % 2 else list(SIDES)[::-1]:
                    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                        asked = pool.submit(_in_a_thread, name, precision, count, threads, SIDES[side])
                        found[side].append(asked.result())
            print(f"  {name} in {precision}: {rounds} rounds", flush=True)
            before, after = found.values()
            speed = [theirs[0] / mine[0] for theirs, mine in zip(before, after, strict=True)]
            peak = [mine[1] / theirs[1] for theirs, mine in zip(before, after, strict=True)]
            rows.append((f"{name} {precision}", Spread.of(speed), Spread.of(peak)))
    return table(("training", "x speed with freed memory kept", "x largest memory"), rows)


def _in_a_thread(*arguments: Any) -> tuple[float, float]:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_train, *arguments).result()


def _train(name: str, precision: Literal["fp32", "bf16"], count: int, threads: int, keep: bool) -> tuple[float, float]:
    """Seconds of a pass after a first one, and the largest memory of the process in KiB."""
    import resource

    torch.set_num_threads(threads)
    if keep:
        set_up_process(threads)
    data = workload.data(*workload.pixels(count))
    spec = workload.train_spec(2 * -(-count // workload.BATCH), "labels", "none", precision, threads)
    spec = spec.model_copy(update={"network": workload.network_spec(name), "evaluate_every": spec.steps // 2})
    network = new_network(spec.network, spec.seed)
    device = torch.device("cpu")
    trained = train(spec, network, data, new_teaching(spec.guidance), device=device, observer=workload.Silent())
    first, last = (row["seconds"] for row in trained.history)
    return last - first, float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
