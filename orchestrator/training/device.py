"""Transfer of arrays to the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def to_device(array: npt.NDArray[np.generic[Any]], device: torch.device) -> Tensor:
    """Returns the array as a tensor on the device; on the CPU it shares the array's memory.

    A GPU is not waited for: a copy out of pinned memory is queued behind the work that it has, where one out of
    ordinary memory would begin only when that is done.
    """
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
