"""Teaching: the per-image loss of a training, with the experts and the curriculum that it is computed from.

A subclass is one kind of guidance. It decides the distillation target of each step (``target``), and may have a loss
of another form (``forward``) and parameters of its own, such as the projection of a feature hint. ``single``, ``dense``
and ``selected`` differ in their targets alone. The training loop knows this interface and no kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from curricula.curriculum import Curriculum
from orchestrator.pipeline.specs import GuidanceSpec
from orchestrator.training.guidance.distillation import new_loss
from orchestrator.training.guidance.distillation.base import StepContext
from orchestrator.training.guidance.experts import Experts, Shown
from orchestrator.training.guidance.losses import cross_entropy

IntArray = npt.NDArray[np.int64]


class Teaching(nn.Module):
    """The loss of one training, as a module of PyTorch.

    Its parameters are trained with the network's, by the same optimiser, and its ``state_dict`` is part of every
    checkpoint. The experts belong to neither.

    Args:
        guidance: kind, names of the experts (smallest first), distillation loss and weights.
        experts: their logits; None for a kind that needs none.
        curriculum: difficulty order, pacing and selector, for a kind that has one.
        strata: stratum of each training image by true difficulty, (N,), for counting which expert teaches which.
        seed: seed of the training.

    Attributes:
        assignment_counts: images by (stratum, expert) since it was last cleared, int64 (experts, experts); all 0 where
            images are not assigned to experts one by one.
        context: the forward pass of the next call of ``forward``; the training loop sets it.

    Raises:
        ValueError: when the guidance names experts and none were opened.
    """

    def __init__(
        self, guidance: GuidanceSpec, experts: Experts | None = None, curriculum: Curriculum | None = None,
        strata: IntArray | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        if guidance.experts and experts is None:
            raise ValueError(
                f"guidance {guidance.kind!r} is to be taught by {', '.join(guidance.experts)}, but its source is "
                f"{guidance.source!r} and no experts were opened; set the source to online or cached"
            )
        self.guidance, self.experts, self.curriculum, self.strata = guidance, experts, curriculum, strata
        self.seed = seed
        self.loss = new_loss(guidance)
        self.context = StepContext()
        count = len(guidance.experts)
        self.assignment_counts = np.zeros((count, count), np.int64)

    @property
    def steps_at_once(self) -> int:
        """Number of consecutive steps whose targets are best computed by one call of ``targets``."""
        return 1

    def attach(self, network: nn.Module) -> None:
        """Prepare for the network to train, before its first step: make parameters that fit it, register hooks on it.

        Called once, with PyTorch's random numbers seeded by the training's seed.
        """

    def targets(self, shown: Shown, sizes: Sequence[int], step: int, steps: int) -> list[Any]:
        """Returns the target of each of a few consecutive steps, for ``forward``.

        Args:
            shown: images of all these steps.
            sizes: number of images of each step.
            step: the first step.
            steps: steps of the whole training.
        """
        parts = shown.parts(sizes)
        return [self.target(part, number, number / steps) for number, part in enumerate(parts, start=step)]

    def target(self, shown: Shown, step: int, progress: float) -> Any:
        """Returns the target of one step; for the loss of this class a tensor without gradient, or None.

        A function of its arguments and the seed alone, so that a resumed training has the same targets.
        """
        raise NotImplementedError

    def image_values(self) -> list[Tensor]:
        """Returns what it records of each training image, each (N,): by each worker for the images that it has seen.

        Of an image that was shown the value is 0 or more. Workers are given each other's before a pass ends and before
        a checkpoint is written; ``state_dict`` should have them.
        """
        return []

    def end_pass(self) -> None:
        """Called after the last step of each pass over the images, when workers have each other's image values."""

    def distillation_weights(self, logits: Tensor, labels: Tensor, target: Any) -> Tensor | None:
        """Returns the weight of each image's distillation term, (B,), or of each expert's, (E, B); by default none.

        Arguments are those of ``forward``.
        """
        return None

    def forward(self, logits: Tensor, labels: Tensor, target: Any) -> Tensor:
        """Returns the loss of each image, (B,).

        By default cross-entropy and distillation, each by its weight. Called outside autocast.

        Args:
            logits: the network's logits (B, C).
            labels: (B,).
            target: logits (B, C) of one expert an image, or (E, B, C) of several, or None for labels alone.
        """
        labels_term = cross_entropy(logits, labels)
        if target is None:
            return labels_term
        distillation_term = self.distillation(logits, labels, target)
        return self.guidance.labels_weight * labels_term + self.guidance.kd_weight * distillation_term

    def distillation(self, logits: Tensor, labels: Tensor, target: Tensor) -> Tensor:
        """Returns the distillation loss of each image, (B,); of several experts the mean of their losses.

        DGKD (Son et al. 2021) adds them up; the mean keeps learning rates comparable. The arguments are those of
        ``forward``. Where the kind has ``distillation_weights``, they multiply the losses instead.
        """
        weights = self.distillation_weights(logits, labels, target)
        if target.dim() == 2:
            loss = self.loss(logits, target, labels, self.context)
            return loss if weights is None else weights * loss
        terms = [self.loss(logits, expert, labels, self.context) for expert in target]
        if weights is None:
            return sum(terms[1:], start=terms[0]) / len(terms)
        return (weights * torch.stack(terms)).sum(dim=0)


Kind = TypeVar("Kind", bound=type[Teaching])
KINDS: dict[str, type[Teaching]] = {}


def register(name: str) -> Callable[[Kind], Kind]:
    """Returns a decorator that makes a class the teaching of a guidance kind."""

    def add(kind: Kind) -> Kind:
        KINDS[name] = kind
        return kind

    return add
