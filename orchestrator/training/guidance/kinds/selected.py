"""selected: one expert an image, chosen by a curriculum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from orchestrator.training.guidance.experts import Shown
from orchestrator.training.guidance.teaching import Teaching, register

IntArray = npt.NDArray[np.int64]


@register("selected")
class Selected(Teaching):
    """Distillation from the expert that the curriculum has chosen for each image at the step's progress."""

    @property
    def steps_at_once(self) -> int:
        """As many steps as there are experts, where experts run beside the student.

        A quarter of a batch costs an expert more an image than a whole one (7 % in fp32 and 15 % in bf16, ResNets on
        32 x 32 images and two CPU cores). Over as many steps as there are experts, a part is about a batch.
        """
        return len(self.guidance.experts) if self.guidance.source == "online" else 1

    def targets(self, shown: Shown, sizes: Sequence[int], step: int, steps: int) -> list[Tensor]:
        """As ``Teaching.targets``; a chosen expert runs once over its images of all these steps."""
        parts = shown.parts(sizes)
        if len(parts) > 1:
            chosen = [self.choose(part.numbers, number / steps) for number, part in enumerate(parts, start=step)]
            together = np.concatenate(chosen)
            if together.min() < together.max():  # else an expert has whole batches as it is, and equals `single` so
                self._count(shown.numbers, together)
                assert self.experts is not None
                return list(self.experts.chosen(together, shown).split(list(sizes)))
        return super().targets(shown, sizes, step, steps)

    def target(self, shown: Shown, step: int, progress: float) -> Tensor:
        assert self.experts is not None
        chosen = self.choose(shown.numbers, progress)
        self._count(shown.numbers, chosen)
        return self.experts.chosen(chosen, shown)

    def choose(self, numbers: IntArray, progress: float) -> IntArray:
        """Returns the expert (0: the smallest) of each training image at a progress."""
        assert self.curriculum is not None, "guidance 'selected' needs a curriculum"
        return np.minimum(self.curriculum.selection.experts[numbers], self.curriculum.expert_limit(progress))

    def _count(self, numbers: IntArray, chosen: IntArray) -> None:
        if self.strata is not None:
            count = len(self.guidance.experts)
            cells = self.strata[numbers] * count + chosen
            self.assignment_counts += np.bincount(cells, minlength=count * count).reshape(count, count)
