"""The measurement behind ``training.precision: auto``, as a Ray task on the kind of machine that students train on."""

from __future__ import annotations

from typing import Any

from orchestrator.pipeline.precision_choice import PrecisionChoice
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.stages.ray_tasks import task


def start_probe(student: TrainSpec, cpus: int, gpus: float) -> Any:
    """Start the measurement; returns a reference to a ``PrecisionChoice``."""
    return task(_probe, cpus, gpus, "precision-probe").remote(student, gpus > 0)


def _probe(student: TrainSpec, on_gpu: bool) -> PrecisionChoice:
    import torch  # here, since the process that asks for the measurement has no other use for it

    from orchestrator.training.precision import kind_of_machine, measure
    from orchestrator.training.process import set_up_process

    set_up_process(student.threads)
    device = torch.device("cuda" if on_gpu else "cpu")
    times = measure(student.network, student.optimizer, student.batch_size, device)
    return PrecisionChoice(
        precision=times.faster,
        machine=kind_of_machine(device),
        network=student.network.name,
        batch_size=times.batch_size,
        fp32_milliseconds=round(1000 * times.fp32, 4),
        bf16_milliseconds=round(1000 * times.bf16, 4),
    )
