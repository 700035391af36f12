"""Optimiser and learning-rate schedule. The learning rate of a step is a function of the step alone."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from orchestrator.recipe.choices import OptimizerSpec


def learning_rate(spec: OptimizerSpec, step: int, steps: int) -> float:
    """Returns the learning rate of ``step`` in [0, steps): a linear rise over the warm-up, then the schedule.

    cosine: half a cosine from the highest rate to 0 (Loshchilov and Hutter 2017, without restarts); steps: multiplied
    by ``decay`` at each milestone; constant.
    """
    warm = math.ceil(spec.warmup * steps)
    if step < warm:
        return spec.learning_rate * (step + 1) / warm
    progress = step / steps
    if spec.schedule == "cosine":
        return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
    if spec.schedule == "steps":
        return spec.learning_rate * spec.decay ** sum(progress >= milestone for milestone in spec.milestones)
    return spec.learning_rate


def build(spec: OptimizerSpec, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Returns the optimiser over the parameters that require a gradient, in its fused form."""
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    if spec.name == "adamw":
        return torch.optim.AdamW(
            parameters, lr=spec.learning_rate, betas=(spec.momentum, 0.999), weight_decay=spec.weight_decay, fused=True
        )
    return torch.optim.SGD(
        parameters,
        lr=spec.learning_rate,
        momentum=spec.momentum,
        nesterov=spec.nesterov and spec.momentum > 0,
        weight_decay=spec.weight_decay,
        fused=True,
    )


def state_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Returns the optimiser's state as flat named tensors, for a checkpoint."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value for index, entry in state.items() for name, value in entry.items() if value is not None
    }


def load_state_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Restore the tensors of ``state_tensors`` into an optimiser that was built over the same parameters."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    whole = optimizer.state_dict()
    whole["state"] = state
    optimizer.load_state_dict(whole)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for name, value in optimizer.state.get(parameter, {}).items():
                if value.shape == parameter.shape:
                    # A fused step walks both as they lie in memory: the state must lie like its parameter.
                    optimizer.state[parameter][name] = torch.empty_like(parameter).copy_(value)
