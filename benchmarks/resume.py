"""resume: a training that is killed halfway and resumed, against the same one undisturbed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks import workload
from benchmarks.measure import interleave, ratios
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.report.markdown import table
from orchestrator.training.data.images import TrainingData
from orchestrator.training.guidance.kinds import new_teaching
from orchestrator.training.loop import train
from orchestrator.training.networks import new_network
from orchestrator.training.process import set_up_process


class _KilledError(Exception):
    pass


class _Keeper(workload.Silent):
    """Keeps every checkpoint in memory; ends the training at one of them, once."""

    def __init__(self, dies_at: int | None) -> None:
        self.dies_at, self.kept = dies_at, None

    kept: bytes | None

    def load(self) -> bytes | None:
        return self.kept

    def evaluated(self, row: dict[str, Any], state: Callable[[], bytes]) -> bool:
        self.kept = state()
        if row["step"] == self.dies_at:
            self.dies_at = None
            raise _KilledError
        return True


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark."""
    count = 1_280 if short else 5_120
    set_up_process(threads)
    data = workload.data(*workload.pixels(count))
    each = -(-count // workload.BATCH)
    spec = workload.train_spec(4 * each, "labels", "none", "bf16", threads).model_copy(update={"evaluate_every": each})
    sides = {
        "without checkpoints": lambda: _train(spec, data, workload.Silent()),
        "a checkpoint a pass": lambda: _train(spec, data, _Keeper(None)),
        "killed after 2 of 4 passes, and resumed": lambda: _twice(spec, data, _Keeper(2 * each)),
    }
    found = ratios(interleave(sides, rounds), "without checkpoints")
    return table(("training of 4 passes", "x without checkpoints"), list(found.items()))


def _train(spec: TrainSpec, data: TrainingData, observer: workload.Silent) -> None:
    network = new_network(spec.network, spec.seed)
    train(spec, network, data, new_teaching(spec.guidance), device=torch.device("cpu"), observer=observer)


def _twice(spec: TrainSpec, data: TrainingData, observer: _Keeper) -> None:
    try:
        _train(spec, data, observer)
    except _KilledError:
        _train(spec, data, observer)
