"""Logits and labels of six images."""

from __future__ import annotations

import torch
from torch import Tensor


def logits(classes: int, seed: int, *leading: int) -> Tensor:
    return torch.randn(*leading, 6, classes, generator=torch.Generator().manual_seed(seed)) * 3


def labels(classes: int) -> Tensor:
    return torch.arange(6) % classes
