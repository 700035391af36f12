"""image_weight: one expert, weighted for each image by the student's loss beside the expert's."""

from __future__ import annotations

import torch
from torch import Tensor

from orchestrator.training.guidance.kinds.single import Single
from orchestrator.training.guidance.losses import cross_entropy
from orchestrator.training.guidance.teaching import register


@register("image_weight")
class ImageWeight(Single):
    """Distillation from one expert, more on images that it knows and the student doesn't (weighted soft labels)."""

    def distillation_weights(self, logits: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        return image_weights(logits, target, labels)


def image_weights(student: Tensor, expert: Tensor, labels: Tensor) -> Tensor:
    """Returns the weight of each image, (B,), in [0, 1], without gradient: logits (B, C) of both, labels (B,).

    w = 1 - exp(-CE_student / CE_expert), with the cross-entropies with the label at T = 1: Zhou et al., "Rethinking
    soft labels for knowledge distillation: a bias-variance tradeoff perspective" (ICLR 2021, arXiv 2102.00650).
    An expert without any loss makes the weight 1, or 0 where the student has none either.
    """
    with torch.no_grad():
        loss, expert_loss = cross_entropy(student, labels), cross_entropy(expert, labels)
        smallest = torch.finfo(expert_loss.dtype).tiny
        return -torch.expm1(-loss / expert_loss.clamp(min=smallest))
