"""kd: divergence of softened probabilities (Hinton, Vinyals, Dean 2015, section 2).

kd = T^2 KL(softmax(z_expert / T) || softmax(z_student / T))
"""

from __future__ import annotations

from torch import Tensor

from orchestrator.training.guidance.distillation.base import DistillationLoss, StepContext, register
from orchestrator.training.guidance.losses import divergence


@register("kd")
class Kd(DistillationLoss):
    """The divergence, summed over classes."""

    def __call__(self, student: Tensor, expert: Tensor, labels: Tensor, context: StepContext) -> Tensor:
        return divergence(student, expert, self.temperature)
