"""dist: correlations of softened probabilities (Huang, You, Wang, Qian, Xu, "Knowledge Distillation from A Stronger
Teacher", NeurIPS 2022).

    p = softmax(z / T), (images, classes); r = Pearson's correlation of p_student and p_expert
    dist = beta T^2 (1 - mean over images of r, which is over the classes)
           + gamma T^2 (1 - mean over classes of r, which is over the images)

The temperature is the paper's tau. A correlation is the centred product divided by the product of the norms plus 1e-8,
as in their code. It does not change when the probabilities of either network are scaled and shifted, which leaves a
small student more room than a divergence does.

The second term is one of all images together. Here these are the images of a norm group (``training.norm_batch``, by
default the whole batch), as for batch normalisation: a group is never cut by ``resources.micro_batch``, and workers
that share one add up its sums, so that the loss is the same for any number of workers. An image's share of the term is
such that the mean over the group is the term, and its gradient that of the term.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from orchestrator.recipe.losses import DistParameters
from orchestrator.training.guidance.distillation.base import DistillationLoss, StepContext, register

_ADDED = 1e-8
_LEAST = 1e-32  # product of two variances, where its root has no gradient; far below _ADDED squared


@register("dist")
class Dist(DistillationLoss):
    """The weighted sum of the two terms."""

    def __init__(self, temperature: float, parameters: Mapping[str, float]) -> None:
        super().__init__(temperature, parameters)
        self.parameters = DistParameters.from_plain(dict(parameters))

    def __call__(self, student: Tensor, expert: Tensor, labels: Tensor, context: StepContext) -> Tensor:
        of_student, of_expert = ((logits.float() / self.temperature).softmax(dim=1) for logits in (student, expert))
        over_classes = 1 - correlation(of_student, of_expert)
        sizes = list(context.group_sizes) or [len(student)]
        groups = zip(of_student.split(sizes), of_expert.split(sizes), strict=True)
        over_images = torch.cat([shares_over_images(*group, context) for group in groups])
        return self.temperature**2 * (self.parameters.beta * over_classes + self.parameters.gamma * over_images)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Returns Pearson's correlation of each row of two matrices, (B, C) -> (B,)."""
    a, b = a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True)
    return (a * b).sum(dim=1) / _norms(a.square().sum(dim=1), b.square().sum(dim=1))


def shares_over_images(a: Tensor, b: Tensor, context: StepContext) -> Tensor:
    """Returns each image's share of 1 less the mean over classes of the correlation over a norm group's images.

    Args:
        a: probabilities (B, C) of this worker's images of the group.
        b: the same, of the expert.
        context: the forward pass, with the sum over the workers that share the group.
    """
    a, b = a.double(), b.double()  # in which the differences of sums below lose nothing that counts
    here = a.new_full((a.shape[1],), len(a))
    sums = torch.stack([here, *(values.sum(dim=0) for values in (a, b, a * a, b * b))])
    images, of_a, of_b, squares_of_a, squares_of_b = context.sum_over_workers(sums)
    images = images.clamp(min=1)  # a small batch can leave a group without any
    variances = [
        (squares - total.square() / images).clamp(min=0)
        for squares, total in ((squares_of_a, of_a), (squares_of_b, of_b))
    ]
    products = (a - of_a / images) * (b - of_b / images) / _norms(*variances)
    return (1 - (images * products).mean(dim=1)).float()


def _norms(a: Tensor, b: Tensor) -> Tensor:
    """Returns the products of norms, from their squares, plus a little."""
    return (a * b).clamp(min=_LEAST).sqrt() + _ADDED
