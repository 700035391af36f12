"""Per-image losses that others are made of: cross-entropy, and the divergence of softened probabilities.

Distillation losses are in ``distillation/``; ``Teaching`` weighs one beside the cross-entropy.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def divergence(student: Tensor, expert: Tensor, temperature: float) -> Tensor:
    """Returns per-image KL(softened expert || softened student) times T^2, shape (B,); logits are (B, C).

    Summed over classes, never averaged: an average would make the term shrink with the number of classes (Hinton,
    Vinyals, Dean 2015, section 2). The mean over the batch is ``torch.nn.KLDivLoss(reduction="batchmean")`` times T^2.
    """
    log_student = F.log_softmax(student.float() / temperature, dim=1)
    log_expert = F.log_softmax(expert.float() / temperature, dim=1)
    return F.kl_div(log_student, log_expert, reduction="none", log_target=True).sum(dim=1) * temperature**2


def cross_entropy(student: Tensor, labels: Tensor) -> Tensor:
    """Returns per-image cross-entropy against the labels, shape (B,)."""
    return F.cross_entropy(student.float(), labels, reduction="none")
