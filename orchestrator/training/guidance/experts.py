"""Logits of experts for the images of a step, computed beside the student or read from what the score stage stored.

An expert always sees the student's input: the same view of the same image. ``OnlineExperts`` runs only the chosen
expert, on its own part of the images of a few steps; ``CachedExperts`` gathers the stored logits of that view. The
logits of the two are equal up to fp16, unless only the largest were stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from orchestrator.artifacts.scores import StoredViews
from orchestrator.training.device import to_device
from orchestrator.training.guidance.inference import ready_to_teach
from orchestrator.training.precision import autocast

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shown:
    """Images of one or more steps: their numbers among the training images (B,), the view, its pixels (B, C, H, W)."""

    numbers: IntArray
    view: int
    pixels: Tensor

    def parts(self, sizes: Sequence[int]) -> list[Shown]:
        """Returns consecutive parts of these sizes, which add up to B."""
        stops = list(accumulate(sizes))
        return [
            Shown(self.numbers[stop - size : stop], self.view, self.pixels[stop - size : stop])
            for size, stop in zip(sizes, stops, strict=True)
        ]


class Experts(Protocol):
    """Logits of experts, which are numbered from the smallest (0)."""

    def one(self, expert: int, shown: Shown) -> Tensor:
        """Returns logits (B, classes) of one expert for every image."""
        ...

    def chosen(self, experts: IntArray, shown: Shown) -> Tensor:
        """Returns logits (B, classes), of expert ``experts[i]`` for image i."""
        ...


class OnlineExperts:
    """Experts that run beside the student: frozen, in evaluation mode, without gradients."""

    def __init__(self, networks: Sequence[nn.Module], device: torch.device, bf16: bool) -> None:
        self.device, self.bf16 = device, bf16
        self.networks = [ready_to_teach(network, device) for network in networks]

    @torch.inference_mode()
    def _run(self, expert: int, pixels: Tensor) -> Tensor:
        with autocast(self.device, self.bf16):
            return self.networks[expert](pixels).float()

    def one(self, expert: int, shown: Shown) -> Tensor:
        return self._run(expert, shown.pixels)

    def chosen(self, experts: IntArray, shown: Shown) -> Tensor:
        present = np.unique(experts)
        if len(present) == 1:  # the same arithmetic as `one`, so that one open expert equals `single` bit for bit
            return self.one(int(present[0]), shown)
        order = np.argsort(experts, kind="stable")
        bounds = [*np.searchsorted(experts[order], present, side="left").tolist(), len(experts)]
        index = to_device(order, self.device)
        # As NHWC, which is how the pixels lie: index_select of the NCHW view would bring them into NCHW storage.
        sorted_pixels = shown.pixels.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
        parts = [
            self._run(int(expert), sorted_pixels[start:stop])
            for expert, start, stop in zip(present, bounds[:-1], bounds[1:], strict=True)
        ]
        with torch.inference_mode():
            logits = torch.cat(parts)
            return torch.empty_like(logits).index_copy_(0, index, logits)


class CachedExperts:
    """Stored logits of each expert, gathered by index."""

    def __init__(self, stored: Sequence[StoredViews], device: torch.device) -> None:
        self.stored, self.device = stored, device

    def one(self, expert: int, shown: Shown) -> Tensor:
        return to_device(self.stored[expert].logits(shown.view, shown.numbers), self.device)

    def chosen(self, experts: IntArray, shown: Shown) -> Tensor:
        present = np.unique(experts)
        if len(present) == 1:
            return self.one(int(present[0]), shown)
        parts = [self.stored[expert].logits(shown.view, shown.numbers[experts == expert]) for expert in present]
        gathered = np.empty((len(experts), parts[0].shape[1]), np.float16)
        for expert, part in zip(present, parts, strict=True):
            gathered[experts == expert] = part
        return to_device(gathered, self.device)
