"""Factories such as a user would write, reached by their ``module:callable`` path."""

from typing import Any

import torch
from torch import Tensor, nn

not_callable = "a string"


def linear(num_classes: int, in_channels: int, image_size: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image_size**2, num_classes))


def pooled(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, num_classes))


def keyword_only(**options: Any) -> nn.Module:
    return pooled(**options)


def without_classes(in_channels: int) -> nn.Module:
    return pooled(in_channels)


def one_class_too_many(num_classes: int) -> nn.Module:
    return pooled(num_classes + 1)


def not_a_network(num_classes: int) -> list[int]:
    return [num_classes]


def reads_its_weights(num_classes: int) -> nn.Module:
    network = pooled(num_classes)
    torch.zeros(1).item()  # a tensor without storage has no value to read
    return network


def attention(num_classes: int) -> nn.Module:
    """One transformer layer over the pixels of an RGB image, built from tensor values like ``reads_its_weights``."""
    torch.zeros(1).item()
    layer = nn.TransformerEncoderLayer(d_model=4, nhead=1, dim_feedforward=8, batch_first=True)
    return nn.Sequential(nn.Conv2d(3, 4, 1), _Tokens(), layer, _Mean(), nn.Linear(4, num_classes))


class _Tokens(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return features.flatten(2).transpose(1, 2)


class _Mean(nn.Module):
    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.mean(dim=1)


class Tuple(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.network = pooled(num_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(images)
        return logits, logits


class Misspelt(nn.Module):
    """Its forward pass asks for a layer that it has not."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(3, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.layerr(images.mean(dim=(2, 3)))  # type: ignore[operator]
        return result
