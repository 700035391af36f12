"""User-defined tiny networks for tests, named by their ``module:callable`` path."""

from __future__ import annotations

from torch import nn

DROPOUT = "tests.training.networks:with_dropout"
NO_BATCH_NORM = "tests.training.networks:without_batch_norm"
SMOOTH = "tests.training.networks:smooth"


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
