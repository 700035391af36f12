"""dkd: kd in two terms with weights of their own (Zhao, Cui, Song, Qiu, Liang, "Decoupled Knowledge Distillation", CVPR
2022, equation 7).

    p = softmax(z / T), y the label, b = (p_y, 1 - p_y), o = softmax of z / T over the classes other than y
    dkd = alpha T^2 KL(b_expert || b_student) + beta T^2 KL(o_expert || o_student)

kd is the same with alpha = 1 and beta = 1 - p_y of the expert: it weighs the other classes least where the expert is
sure. The loss rises linearly from 0 over the warm-up. The paper's is 20 epochs of 240; here it is a share of the steps,
so that a training of fewer steps has all of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from orchestrator.recipe.losses import DkdParameters
from orchestrator.training.guidance.distillation.base import DistillationLoss, StepContext, register
from orchestrator.training.guidance.losses import divergence


@register("dkd")
class Dkd(DistillationLoss):
    """The weighted sum of the two terms."""

    def __init__(self, temperature: float, parameters: Mapping[str, float]) -> None:
        super().__init__(temperature, parameters)
        self.parameters = DkdParameters.from_plain(dict(parameters))

    def __call__(self, student: Tensor, expert: Tensor, labels: Tensor, context: StepContext) -> Tensor:
        target_class, other_classes = terms(student, expert, labels, self.temperature)
        weighted = self.parameters.alpha * target_class + self.parameters.beta * other_classes
        return warmup_weight(context, self.parameters.warmup) * weighted


def warmup_weight(context: StepContext, warmup: float) -> float:
    """Returns the share of its weight that the loss has at a step, in (0, 1]."""
    last = warmup * context.steps
    return 1.0 if context.step + 1 >= last else (context.step + 1) / last


def terms(student: Tensor, expert: Tensor, labels: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Returns the two divergences of each image times T^2, (B,) each: of the label's class, and of the others."""
    own, others = zip(*(_apart(logits.float(), labels) for logits in (student, expert)), strict=True)
    margins = [
        mine / temperature - (rest / temperature).logsumexp(dim=1) for mine, rest in zip(own, others, strict=True)
    ]
    # p_y = sigmoid(margin), so both logarithms are exact however sure a network is.
    of_student, of_expert = (F.logsigmoid(torch.stack([margin, -margin], dim=1)) for margin in margins)
    target_class = F.kl_div(of_student, of_expert, reduction="none", log_target=True).sum(dim=1) * temperature**2
    return target_class, divergence(others[0], others[1], temperature)


def _apart(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the logits of the labels, (B,), and those of the other classes, (B, C - 1)."""
    places = torch.arange(logits.shape[1] - 1, device=logits.device)
    others = places + (places >= labels[:, None])  # without the label's place; a mask would wait for the device
    return logits.gather(1, labels[:, None])[:, 0], logits.gather(1, others)
