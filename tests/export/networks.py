"""Networks that can't be exported as they are: named as ``tests.export.networks:<function>`` in a recipe."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _Restless(nn.Module):
    """Answers the same image differently each time."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(256, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(images.flatten(1)) + torch.rand(images.shape[0], 1)


class _Branching(nn.Module):
    """Does another thing for bright images, so that no one graph says what it does."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(256, classes)

    def forward(self, images: Tensor) -> Tensor:
        if images.mean() > 0:
            images = -images
        return self.head(images.flatten(1))


def restless(num_classes: int) -> nn.Module:
    """For grey images of 16 x 16."""
    return _Restless(num_classes)


def branching(num_classes: int) -> nn.Module:
    """For grey images of 16 x 16."""
    return _Branching(num_classes)
