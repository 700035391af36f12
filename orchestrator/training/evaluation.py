"""Accuracy and loss of a network on some images, without augmentation, in large batches."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from orchestrator.training.data.images import TrainingData
from orchestrator.training.data.views import CLEAN
from orchestrator.training.device import to_device
from orchestrator.training.precision import autocast
from orchestrator.training.world import World

BATCH = 512


class NotFiniteError(ValueError):
    """A network's logits are NaN or infinite; the message names the network."""


@torch.inference_mode()
def evaluate(
    network: nn.Module, data: TrainingData, images: npt.NDArray[np.int64], bf16: bool, world: World | None = None
) -> tuple[float, float]:
    """Returns accuracy in [0, 1] and mean cross-entropy over ``images``; each worker computes its part."""
    world = world or World()
    mine = world.part(images)
    device = data.labels.device
    was_training = network.training
    network.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    batches = [mine[start : start + BATCH] for start in range(0, len(mine), BATCH)]
    pixels = data.images.stream((batch, [CLEAN]) for batch in batches)
    for batch, views in zip(batches, pixels, strict=True):
        labels = data.labels[to_device(batch, device)]
        with autocast(device, bf16):
            logits = network(views[0])
        logits = logits.float()
        sums[0] += (logits.argmax(dim=1) == labels).sum()
        sums[1] += F.cross_entropy(logits, labels, reduction="sum")
    network.train(was_training)
    world.sum_(sums)
    correct, loss = (sums / len(images)).tolist()
    return correct, loss


def evaluate_finite(
    name: str, network: nn.Module, data: TrainingData, images: npt.NDArray[np.int64], bf16: bool
) -> tuple[float, float]:
    """Returns the result of ``evaluate`` for a named network.

    Raises:
        NotFiniteError: when a logit is NaN or infinite.
    """
    accuracy, loss = evaluate(network, data, images, bf16)
    if not math.isfinite(loss):
        raise NotFiniteError(not_finite(name))
    return accuracy, loss


def not_finite(name: str, where: str = "") -> str:
    """Returns the error message on a network whose logits are not finite."""
    return (
        f"the logits of {name} are not finite{where}: look at its weights, and whether they were made for images that "
        "are normalised as these are; take other weights, or leave it out of the ladder"
    )
