"""User-defined tiny networks for tests, named by their ``module:callable`` path."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DROPOUT = "tests.training.networks:with_dropout"
NO_BATCH_NORM = "tests.training.networks:without_batch_norm"
SMOOTH = "tests.training.networks:smooth"
MASKED = "tests.training.networks:Masked"


def with_dropout(num_classes: int, in_channels: int, image_size: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5),
        nn.Flatten(), nn.Linear(8 * (image_size // 2) ** 2, num_classes),
    )  # fmt: skip


def without_batch_norm(num_classes: int, in_channels: int, image_size: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, 8, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * (image_size // 4) ** 2, num_classes),
    )  # fmt: skip


def smooth(num_classes: int, in_channels: int, image_size: int) -> nn.Module:
    """With batch normalisation, and gradients that rounding can't make jump, as it does at the kink of a ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.Tanh(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.Tanh(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Linear(16, num_classes),
    )  # fmt: skip


class Masked(nn.Module):
    """A network that attends to its first 8 features alone, by a mask in its state."""

    mask: Tensor

    def __init__(self, num_classes: int, in_channels: int, image_size: int) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, 16))
        self.head = nn.Linear(16, num_classes)
        self.register_buffer("mask", torch.where(torch.arange(16) < 8, 0.0, -torch.inf))

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        logits: Tensor = self.head(features * (features + self.mask).softmax(dim=1))
        return logits
