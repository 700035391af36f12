"""dense: several experts at once, with stochastic drop as an option (DGKD: Son, Na, Choi, Hwang, ICCV 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from orchestrator.randomness import Purpose, generator
from orchestrator.training.guidance.experts import Shown
from orchestrator.training.guidance.teaching import Teaching, register


@register("dense")
class Dense(Teaching):
    """Distillation from all experts, or from those that are not dropped at a step."""

    def target(self, shown: Shown, step: int, progress: float) -> Tensor:
        assert self.experts is not None
        return torch.stack([self.experts.one(expert, shown) for expert in self.kept(step)])

    def kept(self, step: int) -> list[int]:
        """Returns the experts of a step: each is dropped with the given probability, but never all.

        A function of (seed, step) alone. Son et al., section 3.3.
        """
        count, drop = len(self.guidance.experts), self.guidance.stochastic_drop
        if drop == 0:
            return list(range(count))
        draw = generator(self.seed, Purpose.EXPERT_DROP, step).random(count)
        kept = [expert for expert in range(count) if draw[expert] >= drop]
        return kept or [int(draw.argmax())]
