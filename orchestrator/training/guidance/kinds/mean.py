"""mean: all experts as one, by the mean of their logits."""

from __future__ import annotations

from torch import Tensor

from orchestrator.training.guidance.experts import Shown
from orchestrator.training.guidance.kinds.dense import Dense
from orchestrator.training.guidance.teaching import register


@register("mean")
class Mean(Dense):
    """Distillation from the mean of all experts' logits, taken before they are softened.

    Its softmax at any temperature is the geometric mean of the experts' softened predictions, made to sum to 1: one of
    the two targets that Hinton, Vinyals and Dean (2015, section 1) name for an ensemble.
    """

    def target(self, shown: Shown, step: int, progress: float) -> Tensor:
        return super().target(shown, step, progress).float().mean(dim=0)
