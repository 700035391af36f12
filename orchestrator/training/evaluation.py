"""Accuracy, loss, calibration and fidelity of networks on some images, without augmentation, in large batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from orchestrator.training.data.images import TrainingData
from orchestrator.training.data.views import CLEAN
from orchestrator.training.device import to_device
from orchestrator.training.fidelity import CalibrationSums, Fidelity, FidelitySums
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
    was_training = network.training
    network.eval()
    sums = _AccuracySums(data.labels.device)
    for _, labels, (logits,) in logits_by_batch([network], data, world.part(images), bf16):
        sums.add(logits, labels)
    network.train(was_training)
    world.sum_(sums.sums)
    return sums.result(len(images))


def logits_by_batch(
    networks: Sequence[nn.Module], data: TrainingData, images: npt.NDArray[np.int64], bf16: bool
) -> Iterator[tuple[slice, Tensor, list[Tensor]]]:
    """Yields for each batch its places in ``images``, its labels (B,) and each network's logits (B, C), in fp32.

    Images are read once, for all networks, whose mode (``eval()``) the caller sets.
    """
    device = data.labels.device
    places = [slice(start, start + BATCH) for start in range(0, len(images), BATCH)]
    pixels = data.images.stream((images[place], [CLEAN]) for place in places)
    for place, views in zip(places, pixels, strict=True):
        labels = data.labels[to_device(images[place], device)]
        with autocast(device, bf16):
            logits = [network(views[0]) for network in networks]
        yield place, labels, [each.float() for each in logits]


class _AccuracySums:
    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)

    def add(self, logits: Tensor, labels: Tensor) -> None:
        self.sums[0] += (logits.argmax(dim=1) == labels).sum()
        self.sums[1] += F.cross_entropy(logits, labels, reduction="sum")

    def result(self, images: int) -> tuple[float, float]:
        accuracy, loss = (self.sums / images).tolist()
        return accuracy, loss


@dataclass(frozen=True)
class Measured:
    """One network on N images: ``fidelity`` is by expert, and ``right`` (N,) tells which images it is right on."""

    accuracy: float
    loss: float
    calibration_error: float
    fidelity: dict[str, Fidelity]
    right: npt.NDArray[np.bool_]


@torch.inference_mode()
def measure(
    name: str, networks: Sequence[nn.Module], data: TrainingData, images: npt.NDArray[np.int64], bf16: bool,
    experts: Mapping[str, npt.NDArray[np.float16]], store: Callable[[npt.NDArray[np.float32]], None] | None = None,
) -> tuple[Measured, list[tuple[float, float]]]:  # fmt: skip
    """Returns the measures of a network on ``images``, and accuracy and loss of the same network by other weights.

    The images are read once for all of them.

    Args:
        name: of the network, for errors.
        networks: the network by its weights, then by each of the others.
        data: the data set.
        images: indices into it.
        bf16: whether networks compute in bf16.
        experts: logits of ``images`` by expert, each (len(images), C); they are read batch by batch.
        store: takes the first network's logits (B, C) of one batch after another.

    Raises:
        NotFiniteError: when a logit is NaN or infinite.
    """
    device = data.labels.device
    sums = [_AccuracySums(device) for _ in networks]
    calibration, fidelity = CalibrationSums(device), {expert: FidelitySums(device) for expert in experts}
    right = torch.empty(len(images), dtype=torch.bool, device=device)
    for network in networks:
        network.eval()
    for place, labels, each in logits_by_batch(networks, data, images, bf16):
        first = each[0]
        if store:
            store(first.cpu().numpy())
        right[place] = first.argmax(dim=1) == labels
        calibration.add(first, labels)
        for expert, stored in experts.items():
            fidelity[expert].add(first, to_device(np.array(stored[place]), device))
        for its, logits in zip(sums, each, strict=True):
            its.add(logits, labels)
    found = [its.result(len(images)) for its in sums]
    if not all(math.isfinite(loss) for _, loss in found):
        raise NotFiniteError(not_finite(name))
    by_expert = {expert: its.result() for expert, its in fidelity.items()}
    return Measured(*found[0], calibration.error(), by_expert, right.cpu().numpy()), found[1:]


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
