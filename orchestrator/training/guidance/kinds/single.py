"""single: one expert for all images."""

from __future__ import annotations

from torch import Tensor

from orchestrator.training.guidance.experts import Shown
from orchestrator.training.guidance.teaching import Teaching, register


@register("single")
class Single(Teaching):
    """Distillation from one expert."""

    def target(self, shown: Shown, step: int, progress: float) -> Tensor:
        assert self.experts is not None
        return self.experts.one(0, shown)
