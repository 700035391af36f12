"""Numeric precision of a training or a forward pass."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal

import torch


def uses_bf16(precision: Literal["auto", "fp32", "bf16"], device: torch.device) -> bool:
    """Whether to run in bf16 autocast. ``auto``: on a GPU that computes in it, and in fp32 elsewhere."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bf16"


def autocast(device: torch.device, bf16: bool) -> AbstractContextManager[None]:
    """The autocast context of a forward pass."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16)
