"""search: a search of short trials by Tune, against as many trainings of the floor on labels.

Two lengths of trial determine a trial's cost beyond its passes (process starts, opening data, storing); both predict
the cost of 32 trials of 40 passes, start-up included, with and without halving. The floor trains them one after the
other with all cores.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks import workload
from benchmarks.floor import Floor, prepare
from benchmarks.measure import Spread, seconds
from orchestrator.artifacts.store import Artifact
from orchestrator.export.warnings import quietly
from orchestrator.pipeline.placement import Placement
from orchestrator.pipeline.specs import CurriculumSpec, SearchSpec
from orchestrator.recipe.choices import PacingSpec
from orchestrator.recipe.resources import Resources
from orchestrator.recipe.search_space import SpaceSpec
from orchestrator.report.markdown import table
from orchestrator.stages import search
from orchestrator.stages.job import Job
from orchestrator.training.networks import new_network
from orchestrator.training.process import set_up_process

TRIALS, LONG, SHORT = 4, 6, 2  # trials measured, and their passes
TOLD_TRIALS, TOLD_PASSES = 32, 40


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark."""
    count = 1_280 if short else 5_120
    images, labels = workload.pixels(count)
    set_up_process(threads)
    floor = Floor(images, labels, workload.BATCH)
    network, optimizer = prepare(new_network(workload.network_spec(workload.STUDENT), 0))
    floor.epoch(network, optimizer)
    forms = {"1 thread each, all cores busy": 1, "all threads each, one at a time": threads}
    slope: dict[str, list[float]] = {name: [] for name in forms}
    fixed: dict[str, list[float]] = {name: [] for name in forms}
    with tempfile.TemporaryDirectory() as folder:
        inputs = workload.search_inputs(Path(folder), count)
        with workload.local_ray():
            for number in range(rounds):
                floor_pass = Spread.of([seconds(lambda: floor.epoch(network, optimizer)) for _ in range(5)]).median
                for name, each in forms.items():
                    took = [_search(folder, inputs, each, passes, number, count) for passes in (SHORT, LONG)]
                    per_pass = (took[1] - took[0]) / (LONG - SHORT) / TRIALS
                    slope[name].append(per_pass / floor_pass)
                    fixed[name].append((took[0] / TRIALS - SHORT * per_pass) / floor_pass)
                print(f"  round {number + 1} of {rounds}", flush=True)
    whole, halved = _passes("none"), _passes("halving")
    rows = []
    for name in forms:
        rows.append((
            name, Spread.of(slope[name]), Spread.of(fixed[name]),
            *(
                Spread.of([
                    (trainings * start + passes * one) / (TOLD_TRIALS * TOLD_PASSES)
                    for one, start in zip(slope[name], fixed[name], strict=True)
                ])
                for trainings, passes in (whole, halved)
            ),
        ))  # fmt: skip
    return f"{count:,} images, trials selected cached bf16, floor labels fp32; in floor passes\n\n" + table(
        ("trials", "a pass", "a trial's start", "search x floor's", "with halving"), rows
    )


def _passes(scheduler: str) -> tuple[int, float]:
    """Returns the number of trainings, and of passes in all, of the predicted search."""
    spec = _spec(1, TOLD_PASSES, 0, workload.BATCH).model_copy(
        update={"trials": TOLD_TRIALS, "scheduler": scheduler, "rungs": (0.25,) if scheduler == "halving" else ()}
    )
    return sum(spec.rung_places), float(
        sum(n * steps for n, steps in zip(spec.rung_places, spec.rung_steps, strict=True))
    )


def _spec(threads: int, passes: int, number: int, count: int) -> SearchSpec:
    student = workload.train_spec(passes * -(-count // workload.BATCH), "selected", "cached", "bf16", threads)
    curriculum = CurriculumSpec(
        scorer="mean_loss", balanced=False, mode="promote", selector="stratified", confidence=0.5,
        pacing=PacingSpec(), control="none", control_seed=0,
    )  # fmt: skip
    return SearchSpec(
        student=student.model_copy(update={"curriculum": curriculum, "evaluate_every": 0, "seed": number}),
        space=SpaceSpec(), trials=TRIALS, round_size=TRIALS, sampler="random", scheduler="none", rungs=(),
        warm_start=(), seed=number,
    )  # fmt: skip


def _search(folder: str, inputs: dict[str, Artifact], threads: int, passes: int, number: int, count: int) -> float:
    spec = _spec(threads, passes, number, count)
    job = Job(
        kind="search", name=f"search-{threads}", identity=f"search-{threads}-{passes}-{number:020d}",
        spec=spec.model_dump(mode="json"), inputs=inputs, storage=folder, dataset_root="",
        resources=Resources(cpus=threads), placement=Placement("ray_tune", TRIALS, threads),
    )  # fmt: skip
    start = time.perf_counter()
    with quietly():
        search.run(job)
    return time.perf_counter() - start
