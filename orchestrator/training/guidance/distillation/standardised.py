"""standardised: kd of standardised logits (Sun, Ren, Li, Wang, Cao, "Logit Standardization in Knowledge Distillation",
CVPR 2024, algorithms 1 and 2).

    z' = (z - mean(z)) / (deviation(z) + 1e-7), over the classes of each image, for student and expert
    standardised = T^2 KL(softmax(z'_expert / T) || softmax(z'_student / T))

The deviation is the unbiased one, as in their code. So the student may have logits of another size than the expert, and
a positive affine map of an image's logits changes nothing.
"""

from __future__ import annotations

from torch import Tensor

from orchestrator.training.guidance.distillation.base import DistillationLoss, StepContext, register
from orchestrator.training.guidance.losses import divergence

_ADDED = 1e-7
_LEAST_VARIANCE = 1e-30  # of equal logits, where the deviation has no gradient; far below _ADDED squared


def standardise(logits: Tensor) -> Tensor:
    """Returns the logits (B, C) of each image with mean 0 and deviation 1, in fp32."""
    centred = logits.float() - logits.float().mean(dim=1, keepdim=True)
    variance = centred.square().sum(dim=1, keepdim=True) / (logits.shape[1] - 1)
    return centred / (variance.clamp(min=_LEAST_VARIANCE).sqrt() + _ADDED)


@register("standardised")
class Standardised(DistillationLoss):
    """The divergence of standardised logits."""

    def __call__(self, student: Tensor, expert: Tensor, labels: Tensor, context: StepContext) -> Tensor:
        return divergence(standardise(student), standardise(expert), self.temperature)
