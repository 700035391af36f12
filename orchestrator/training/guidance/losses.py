"""Per-image losses: cross-entropy, distillation, and (1 - lambda) * cross-entropy + lambda * distillation."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def distillation(student: Tensor, expert: Tensor, temperature: float) -> Tensor:
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


def guided(student: Tensor, labels: Tensor, expert: Tensor | None, temperature: float, kd_weight: float) -> Tensor:
    """Returns the per-image loss (B,) of a student with logits (B, C).

    ``expert`` holds logits (B, C) of the one expert of each image, (E, B, C) of several experts whose distillation
    terms are averaged (DGKD, Son et al. 2021, divided by its number of terms so that learning rates stay comparable),
    or None: labels alone.
    """
    labels_term = cross_entropy(student, labels)
    if expert is None:
        return labels_term
    if expert.dim() == 2:
        distillation_term = distillation(student, expert, temperature)
    else:
        terms = [distillation(student, one, temperature) for one in expert]
        distillation_term = sum(terms[1:], start=terms[0]) / len(terms)
    return (1 - kd_weight) * labels_term + kd_weight * distillation_term
