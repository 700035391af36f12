"""Divergence of a training: whether it diverged, and the error that names the cause."""

from __future__ import annotations

import torch
from torch import nn

from orchestrator.pipeline.specs import TrainSpec
from orchestrator.training import optim
from orchestrator.training.data.loader import Loader
from orchestrator.training.errors import TrainingDivergedError
from orchestrator.training.evaluation import not_finite
from orchestrator.training.guidance.teaching import Teaching
from orchestrator.training.world import World

RUNNING_STATISTICS = ("running_mean", "running_var")  # names of their buffers in every normalisation of torch


def is_finite(network: nn.Module) -> bool:
    """Returns whether all parameters and running statistics are finite; waits for the device.

    A loss can be finite where they are not: batch normalisation by an infinite variance returns zeros. Other buffers
    may hold infinite values on purpose, as an attention mask does.
    """
    running = (buffer for name, buffer in network.named_buffers() if name.rpartition(".")[2] in RUNNING_STATISTICS)
    values = [*network.parameters(), *running]
    return bool(torch.stack([value.isfinite().all() for value in values]).all())


def divergence(
    spec: TrainSpec, step: int, saved_step: int | None, teaching: Teaching, loader: Loader, world: World,
    device: torch.device, what: str = "the loss",
) -> TrainingDivergedError:  # fmt: skip
    """Returns the error of a training in which ``what`` was not finite; called on every worker.

    It names the expert whose logits are not finite, if one's are not, else the step, its learning rate and the step of
    the last checkpoint, ``saved_step``.
    """
    expert = _expert_not_finite(spec, step, teaching, loader, world, device)
    if expert:
        return TrainingDivergedError(not_finite(expert, f" on the images of step {step}"))
    last = "no checkpoint was written"
    if saved_step is not None:
        last = f"the last good checkpoint is that of step {saved_step}"
    return TrainingDivergedError(
        f"{what} was no longer finite at step {step} of {spec.steps}, "
        f"learning rate {optim.learning_rate(spec.optimizer, step, spec.steps):.4g}; {last}. "
        "Lower training.optimizer.learning_rate (or this network's learning_rate), or lengthen its warmup"
        + (", or lower distillation.kd_weight." if spec.guidance.experts else ".")
    )


def _expert_not_finite(
    spec: TrainSpec, step: int, teaching: Teaching, loader: Loader, world: World, device: torch.device
) -> str | None:
    """Returns the first expert whose logits on a step's images are not finite, on every worker."""
    experts = teaching.experts
    if experts is None:
        return None
    shown = loader.group(step).shown
    for number, name in enumerate(spec.guidance.experts):
        bad = not bool(torch.isfinite(experts.one(number, shown)).all())
        if world.any(bad, device):
            return name
    return None
