"""Interface of a distillation loss, and what it may depend on beside logits and labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor


def _alone(values: Tensor) -> Tensor:
    return values


@dataclass(frozen=True)
class StepContext:
    """A forward pass of a training step.

    Attributes:
        step: the step, from 0.
        steps: steps of the whole training.
        group_sizes: this worker's images of each norm group in the pass, in order; empty for one group of all images.
        sum_over_workers: returns the sum of a tensor over the workers that share these norm groups, with a gradient.
    """

    step: int = 0
    steps: int = 1
    group_sizes: Sequence[int] = ()
    sum_over_workers: Callable[[Tensor], Tensor] = _alone


class DistillationLoss(ABC):
    """One loss; a subclass has the formula.

    It has no state, and depends on the step through the context alone, so that a resumed training has the same loss.

    Args:
        temperature: softens the logits of both networks.
        parameters: values by name, of the loss's row in ``recipe/losses.py``.
    """

    def __init__(self, temperature: float, parameters: Mapping[str, float]) -> None:
        self.temperature = temperature

    @abstractmethod
    def __call__(self, student: Tensor, expert: Tensor, labels: Tensor, context: StepContext) -> Tensor:
        """Returns the loss of each image, (B,); its mean over a batch is the batch's.

        Args:
            student: logits (B, C), of any floating-point type.
            expert: logits (B, C) of the expert of each image, without a gradient.
            labels: (B,).
            context: the forward pass.
        """


Class = TypeVar("Class", bound=type[DistillationLoss])
CLASSES: dict[str, type[DistillationLoss]] = {}


def register(name: str) -> Callable[[Class], Class]:
    """Returns a decorator that makes a class the distillation loss of a name."""

    def add(loss: Class) -> Class:
        CLASSES[name] = loss
        return loss

    return add
