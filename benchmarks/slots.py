"""slots: the share of a cluster's slots that a search of many trials keeps busy, and what a trial costs its driver.

The slots are logical CPUs, many more than this machine has: a trial of the benchmark's student rests, as the driver of
a search sees a trial on another machine. A slot counts as busy while it works on a trial, without the start of its
process, which on this machine competes with 31 others for a few cores. Needs 12 GB of free memory.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks import workload
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

# One round: at the end of each, slots rest until its last trial has ended, and their processes start again.
TRIALS, SLOTS, ROUND, SECONDS = 500, 32, 500, 60.0
SHORT = (32, 8, 16, 5.0)
IMAGES = 256


class _Resting(nn.Module):
    def __init__(self, classes: int, channels: int, seconds: float) -> None:
        super().__init__()
        self.head = nn.Linear(channels, classes)
        self.seconds = seconds

    def forward(self, images: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled():
            time.sleep(self.seconds)
        logits: Tensor = self.head(images.mean((2, 3)))
        return logits


def resting(num_classes: int, in_channels: int) -> nn.Module:
    """A network whose training steps take long and need nothing."""
    return _Resting(num_classes, in_channels, float(os.environ["BENCHMARK_STEP_SECONDS"]))


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark; one round."""
    import ray

    trials, slots, round_size, each = SHORT if short else (TRIALS, SLOTS, ROUND, SECONDS)
    os.environ |= {"BENCHMARK_STEP_SECONDS": str(each), "RAY_memory_monitor_refresh_ms": "0"}
    with tempfile.TemporaryDirectory() as folder:
        inputs = workload.search_inputs(Path(folder), IMAGES)
        ray.init("local", num_cpus=slots, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        try:
            begun, own = time.perf_counter(), time.process_time()
            with quietly():
                artifact = search.run(_job(folder, inputs, trials, round_size))
            took, own = time.perf_counter() - begun, time.process_time() - own
        finally:
            ray.shutdown()
        spans = workload.trial_spans(Path(folder))
    assert len(spans) == trials == len(artifact.results["trials"])
    first, last = min(start for start, _ in spans), max(start for start, _ in spans)
    busy = sum(max(0.0, min(end, last) - start) for start, end in spans) / (slots * (last - first))
    failed = sum(trial["status"] == "failed" for trial in artifact.results["trials"])
    rows = [
        ("trials, failed", f"{trials}, {failed}"),
        ("slots; trials of a round; seconds of a trial's step", f"{slots}; {round_size}; {each:g}"),
        ("mean busy share between the first start and the last", f"{busy:.1%}"),
        ("whole search, s", f"{took:.0f}"),
        ("the same without any overhead, s", f"{trials / slots * each:.0f}"),
        ("CPU time of the search's process, ms a trial", f"{1000 * own / trials:.0f}"),
    ]
    return table(("what", "value"), rows)


def _job(folder: str, inputs: dict[str, Artifact], trials: int, round_size: int) -> Job:
    student = workload.train_spec(1, "selected", "cached", "fp32", 1)
    curriculum = CurriculumSpec(
        scorer="mean_loss", balanced=False, mode="promote", selector="stratified", confidence=0.5,
        pacing=PacingSpec(), control="none", control_seed=0,
    )  # fmt: skip
    network = student.network.model_copy(update={"name": "benchmarks.slots:resting"})
    spec = SearchSpec(
        student=student.model_copy(update={"curriculum": curriculum, "network": network}), space=SpaceSpec(),
        trials=trials, round_size=round_size, sampler="tpe", scheduler="none", rungs=(), warm_start=(), seed=0,
    )  # fmt: skip
    return Job(
        kind="search", name="search", identity="search-00000000000000000000", spec=spec.model_dump(mode="json"),
        inputs=inputs, storage=folder, dataset_root="", resources=Resources(),
        placement=Placement("ray_tune", round_size),
    )  # fmt: skip
