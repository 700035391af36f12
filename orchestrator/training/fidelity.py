"""Calibration of a network, and its fidelity to experts: sums over batches of logits, each batch seen once.

Fidelity is how closely a student follows an expert, which is not how accurate it is: Stanton et al., "Does Knowledge
Distillation Really Work?", NeurIPS 2021, measure it by the same agreement and divergence.
"""

from __future__ import annotations

from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

from orchestrator.training.guidance.losses import divergence

BINS = 15
TEMPERATURES = (1.0, 4.0)


class Fidelity(TypedDict):
    """A student beside one expert: share of equal predictions, and mean KL(expert || student) in nats at T = 1, 4."""

    agreement: float
    kl_t1: float
    kl_t4: float


class CalibrationSums:
    """Sums for the expected calibration error."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(3, BINS, dtype=torch.float64, device=device)  # images, right ones, confidence

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Add images with logits (B, C) and labels (B,)."""
        confidence, predicted = F.softmax(logits.double(), dim=1).max(dim=1)
        place = ((confidence * BINS).ceil().long() - 1).clamp(0, BINS - 1)
        right = (predicted == labels).double()
        self.sums.index_add_(1, place, torch.stack([torch.ones_like(right), right, confidence]))

    def error(self) -> float:
        """Returns the expected calibration error, in [0, 1].

        That is the mean over images of the distance between accuracy and mean confidence in the image's bin, of 15
        bins (k / 15, (k + 1) / 15] of confidence: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
        equation 3.
        """
        images, right, confidence = self.sums
        return float((right - confidence).abs().sum() / images.sum())


class FidelitySums:
    """Sums for the fidelity of a student to one expert."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(1 + len(TEMPERATURES), dtype=torch.float64, device=device)
        self.images = 0

    def add(self, student: Tensor, expert: Tensor) -> None:
        """Add images with logits (B, C) of both."""
        self.images += len(student)
        self.sums[0] += (student.argmax(dim=1) == expert.argmax(dim=1)).sum()
        for place, temperature in enumerate(TEMPERATURES, 1):
            kl = divergence(student, expert, temperature) / temperature**2  # without the factor that the loss has
            self.sums[place] += kl.clamp(min=0).sum(dtype=torch.float64)  # rounding alone takes it below

    def result(self) -> Fidelity:
        """Returns the means over all images."""
        agreement, *divergences = (self.sums / self.images).tolist()
        return {"agreement": agreement, "kl_t1": divergences[0], "kl_t4": divergences[1]}
