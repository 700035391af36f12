"""User-defined networks for tests: ``user_networks:<function>`` in a recipe."""

from __future__ import annotations

import errno
import os

import torch
import torch.distributed as dist
from torch import Tensor, nn

import models


def tiny(num_classes: int, in_channels: int) -> nn.Module:
    """A very small network for photos of any size."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 4, 3, stride=4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, num_classes),
    )


class _Failing(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(256, classes)

    def forward(self, images: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled():
            raise RuntimeError("this network always fails in training")
        return self.head(images.flatten(1))


def failing(num_classes: int) -> nn.Module:
    """A network with an error of its own in training, for 16x16 grey images."""
    return _Failing(num_classes)


class _FailingOnOne(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        if dist.is_initialized() and dist.get_rank() == 1:
            raise ValueError("the second worker has no such file")
        result: Tensor = self.network(images)
        return result


def failing_on_one(num_classes: int, in_channels: int, image_size: int) -> nn.Module:
    """A ``plain_cnn_4`` with an error on the second of several workers alone."""
    return _FailingOnOne(
        models.create("plain_cnn_4", num_classes=num_classes, in_channels=in_channels, image_size=image_size)
    )


def broken_on_one_node(num_classes: int, in_channels: int, image_size: int) -> nn.Module:
    """A ``plain_cnn_2`` that can't be made on a node with a variable in its environment, for one reason or another."""
    if "TESTS_BROKEN_NODE" in os.environ:
        if os.getpid() % 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        raise OSError(errno.EIO, "Input/output error", "/shared/runs")
    return models.create("plain_cnn_2", num_classes=num_classes, in_channels=in_channels, image_size=image_size)
