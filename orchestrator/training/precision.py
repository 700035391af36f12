"""Numeric precision of a training or a forward pass."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Literal

import torch


def uses_bf16(precision: Literal["auto", "fp32", "bf16"], device: torch.device) -> bool:
    """Whether to run in bf16 autocast. ``auto``: on a GPU or CPU that computes in it, and in fp32 elsewhere.

    On a CPU with AVX512-BF16 or AMX a plain CNN's step takes 0.55 of its fp32 time; without them bf16 is emulated and
    slower than fp32.
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return _cpu_computes_bf16()


@cache
def _cpu_computes_bf16() -> bool:
    """What the processor says of itself (x86 and ARM name it differently); no where it says nothing."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", "bf16"))


def autocast(device: torch.device, bf16: bool) -> AbstractContextManager[None]:
    """The autocast context of a forward pass."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16)
