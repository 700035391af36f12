"""selected: one expert an image, chosen by a curriculum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from curricula.curriculum import Curriculum
from orchestrator.pipeline.specs import GuidanceSpec
from orchestrator.training.device import to_device
from orchestrator.training.guidance.experts import Experts, Shown
from orchestrator.training.guidance.last_predictions import LastPredictions
from orchestrator.training.guidance.teaching import Teaching, register

IntArray = npt.NDArray[np.int64]


@register("selected")
class Selected(Teaching):
    """Distillation from the expert that the curriculum has chosen for each image at the step's progress.

    Where the choice depends on what the student last predicted (the selector ``ready``), a target is the pair of the
    experts' logits and the images' numbers, so that the loss can record the predictions.
    """

    def __init__(
        self, guidance: GuidanceSpec, experts: Experts | None = None, curriculum: Curriculum | None = None,
        strata: IntArray | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(guidance, experts, curriculum, strata, seed)
        online = curriculum is not None and curriculum.readiness is not None
        self.last = LastPredictions(curriculum.image_count) if curriculum is not None and online else None

    @property
    def steps_at_once(self) -> int:
        """As many steps as there are experts, where experts run beside the student.

        A quarter of a batch costs an expert more an image than a whole one (7 % in fp32 and 15 % in bf16, ResNets on
        32 x 32 images and two CPU cores). Over as many steps as there are experts, a part is about a batch.
        """
        return len(self.guidance.experts) if self.guidance.source == "online" else 1

    def targets(self, shown: Shown, sizes: Sequence[int], step: int, steps: int) -> list[Any]:
        """As ``Teaching.targets``; a chosen expert runs once over its images of all these steps."""
        parts = shown.parts(sizes)
        if len(parts) > 1:
            chosen = [self.choose(part.numbers, number / steps) for number, part in enumerate(parts, start=step)]
            together = np.concatenate(chosen)
            if together.min() < together.max():  # else an expert has whole batches as it is, and equals `single` so
                self._count(shown.numbers, together)
                assert self.experts is not None
                logits = self.experts.chosen(together, shown).split(list(sizes))
                return [self._target(its, part) for its, part in zip(logits, parts, strict=True)]
        return super().targets(shown, sizes, step, steps)

    def target(self, shown: Shown, step: int, progress: float) -> Any:
        assert self.experts is not None
        chosen = self.choose(shown.numbers, progress)
        self._count(shown.numbers, chosen)
        return self._target(self.experts.chosen(chosen, shown), shown)

    def _target(self, logits: Tensor, shown: Shown) -> Tensor | tuple[Tensor, Tensor]:
        return logits if self.last is None else (logits, to_device(shown.numbers, logits.device))

    def forward(self, logits: Tensor, labels: Tensor, target: Any) -> Tensor:
        if self.last is None:
            return super().forward(logits, labels, target)
        expert, images = target
        self.last.record(images, logits, labels)
        return super().forward(logits, labels, expert)

    def image_values(self) -> list[Tensor]:
        return [] if self.last is None else [self.last.confidence]

    def end_pass(self) -> None:
        if self.last is not None:
            self.last.end_pass()

    def choose(self, numbers: IntArray, progress: float) -> IntArray:
        """Returns the expert (0: the smallest) of each training image at a progress."""
        assert self.curriculum is not None, "guidance 'selected' needs a curriculum"
        return self.curriculum.experts_of(numbers, progress, None if self.last is None else self.last.of(numbers))

    def _count(self, numbers: IntArray, chosen: IntArray) -> None:
        if self.strata is not None:
            count = len(self.guidance.experts)
            cells = self.strata[numbers] * count + chosen
            self.assignment_counts += np.bincount(cells, minlength=count * count).reshape(count, count)
