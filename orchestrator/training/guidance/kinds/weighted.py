"""weighted: all experts at once, weighted for each image by their loss on its label."""

from __future__ import annotations

import torch
from torch import Tensor

from orchestrator.training.guidance.kinds.dense import Dense
from orchestrator.training.guidance.losses import cross_entropy
from orchestrator.training.guidance.teaching import register


@register("weighted")
class Weighted(Dense):
    """Distillation from all experts, more from those that are right and sure of an image (CA-MKD)."""

    def distillation_weights(self, logits: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        return expert_weights(target, labels)


def expert_weights(experts: Tensor, labels: Tensor) -> Tensor:
    """Returns the weight of each expert for each image, (K, B), of sum 1: logits (K, B, C), labels (B,).

    w_k = (1 - softmax_k(CE_k)) / (K - 1), where CE_k is the cross-entropy of expert k with the label and the softmax is
    over the experts: Zhang, Chen, Wang, "Confidence-aware multi-teacher knowledge distillation" (ICASSP 2022, arXiv
    2201.00007). One expert alone has the weight 1.
    """
    count = len(experts)
    if count == 1:
        return torch.ones(experts.shape[:2], device=experts.device)
    losses = torch.stack([cross_entropy(logits, labels) for logits in experts])
    return (1 - losses.softmax(dim=0)) / (count - 1)
