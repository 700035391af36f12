"""Guidance: what the loss is taught by at each step, from experts that run beside the student or from stored logits.

The expert always sees what the student sees: the same view of the same image. ``OnlineExperts`` runs only the chosen
expert, on its own part of what a few steps show; ``CachedExperts`` gathers what the score stage has stored for that
view. Both give the same logits up to fp16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from curricula.curriculum import Curriculum
from orchestrator.pipeline.specs import GuidanceSpec
from orchestrator.randomness import Purpose, generator
from orchestrator.training.device import to_device
from orchestrator.training.guidance.inference import ready_to_teach
from orchestrator.training.precision import autocast

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shown:
    """What is shown: training image numbers (B,), the view's number, and the pixels (B, C, H, W) of that view."""

    numbers: IntArray
    view: int
    pixels: Tensor

    def parts(self, sizes: Sequence[int]) -> list[Shown]:
        """Consecutive parts of these sizes, which add up to B."""
        stops = list(accumulate(sizes))
        return [
            Shown(self.numbers[stop - size : stop], self.view, self.pixels[stop - size : stop])
            for size, stop in zip(sizes, stops, strict=True)
        ]


class Experts(Protocol):
    """Logits of experts, which are numbered from the smallest (0)."""

    def one(self, expert: int, shown: Shown) -> Tensor:
        """Logits (B, classes) of one expert for every image."""
        ...

    def chosen(self, experts: IntArray, shown: Shown) -> Tensor:
        """Logits (B, classes), of expert ``experts[i]`` for image i."""
        ...


class OnlineExperts:
    """Experts that run beside the student: frozen, in evaluation mode, without gradients."""

    def __init__(self, networks: Sequence[nn.Module], device: torch.device, bf16: bool) -> None:
        self.device, self.bf16 = device, bf16
        self.networks = [ready_to_teach(network, device) for network in networks]

    @torch.inference_mode()
    def _run(self, expert: int, pixels: Tensor) -> Tensor:
        with autocast(self.device, self.bf16):
            return self.networks[expert](pixels).float()

    def one(self, expert: int, shown: Shown) -> Tensor:
        return self._run(expert, shown.pixels)

    def chosen(self, experts: IntArray, shown: Shown) -> Tensor:
        present = np.unique(experts)
        if len(present) == 1:  # the same arithmetic as `one`, so that one open expert equals `single` bit for bit
            return self.one(int(present[0]), shown)
        order = np.argsort(experts, kind="stable")
        bounds = [*np.searchsorted(experts[order], present, side="left").tolist(), len(experts)]
        index = to_device(order, self.device)
        # As NHWC, which is how the pixels lie: index_select of the NCHW view would bring them into NCHW storage.
        sorted_pixels = shown.pixels.permute(0, 2, 3, 1).index_select(0, index).permute(0, 3, 1, 2)
        parts = [
            self._run(int(expert), sorted_pixels[start:stop])
            for expert, start, stop in zip(present, bounds[:-1], bounds[1:], strict=True)
        ]
        with torch.inference_mode():
            logits = torch.cat(parts)
            return torch.empty_like(logits).index_copy_(0, index, logits)


class CachedExperts:
    """Stored logits, one memory-mapped fp16 array (views, N, classes) an expert, gathered by index."""

    def __init__(self, arrays: Sequence[npt.NDArray[np.float16]], device: torch.device) -> None:
        self.arrays, self.device = arrays, device

    def one(self, expert: int, shown: Shown) -> Tensor:
        return to_device(self.arrays[expert][shown.view, shown.numbers], self.device)

    def chosen(self, experts: IntArray, shown: Shown) -> Tensor:
        gathered = np.empty((len(experts), self.arrays[0].shape[2]), np.float16)
        for expert in np.unique(experts):
            mine = experts == expert
            gathered[mine] = self.arrays[expert][shown.view, shown.numbers[mine]]
        return to_device(gathered, self.device)


class Guidance:
    """A guidance spec with its experts and, for ``selected``, its curriculum.

    ``taught`` counts image by image which expert taught which stratum: int64 (strata, experts).

    Raises:
        ValueError: when the spec names experts and none were opened.
    """

    def __init__(
        self, spec: GuidanceSpec, experts: Experts | None = None, curriculum: Curriculum | None = None,
        strata: IntArray | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        if spec.kind != "labels" and experts is None:
            raise ValueError(
                f"guidance {spec.kind!r} is to be taught by {', '.join(spec.experts)}, but its source is "
                f"{spec.source!r} and no experts were opened; set the source to online or cached"
            )
        self.spec, self.experts, self.curriculum, self.strata, self.seed = spec, experts, curriculum, strata, seed
        count = len(spec.experts)
        self.taught = np.zeros((count, count), np.int64)

    @property
    def steps_at_once(self) -> int:
        """How many steps are best taught by one call of ``logits_of_steps``.

        A quarter of a batch costs an expert more an image than a whole one (7 % in fp32 and 15 % in bf16, ResNets on
        32 x 32 images and two CPU cores). Over as many steps as there are experts, a part is about a batch.
        """
        return len(self.spec.experts) if self.spec.kind == "selected" and self.spec.source == "online" else 1

    def logits_of_steps(self, shown: Shown, sizes: Sequence[int], step: int, steps: int) -> list[Tensor | None]:
        """``logits`` of consecutive steps from ``step`` on, out of ``steps``; each shows the next ``sizes`` images.

        Chosen experts run over the images of all these steps at once, each chosen at its own step's progress.
        """
        parts, numbers = shown.parts(sizes), range(step, step + len(sizes))
        if len(sizes) > 1 and self.spec.kind == "selected":
            chosen = [self.choose(part.numbers, number / steps) for part, number in zip(parts, numbers, strict=True)]
            together = np.concatenate(chosen)
            if together.min() < together.max():  # else an expert has whole batches as it is, and equals `single` so
                self._count(shown.numbers, together)
                assert self.experts is not None
                return list(self.experts.chosen(together, shown).split(list(sizes)))
        return [self.logits(part, number, number / steps) for part, number in zip(parts, numbers, strict=True)]

    def logits(self, shown: Shown, step: int, progress: float) -> Tensor | None:
        """Expert logits for a step: None (``labels``), (B, classes), or (E, B, classes) for ``dense``."""
        if self.experts is None:
            return None
        if self.spec.kind == "single":
            return self.experts.one(0, shown)
        if self.spec.kind == "dense":
            return torch.stack([self.experts.one(expert, shown) for expert in self.kept(step)])
        chosen = self.choose(shown.numbers, progress)
        self._count(shown.numbers, chosen)
        return self.experts.chosen(chosen, shown)

    def _count(self, numbers: IntArray, chosen: IntArray) -> None:
        if self.strata is not None:
            count = len(self.spec.experts)
            cells = self.strata[numbers] * count + chosen
            self.taught += np.bincount(cells, minlength=count * count).reshape(count, count)

    def choose(self, numbers: IntArray, progress: float) -> IntArray:
        """The expert (0: the smallest) of each training image at a progress."""
        assert self.curriculum is not None, "guidance 'selected' needs a curriculum"
        return np.minimum(self.curriculum.selection.experts[numbers], self.curriculum.expert_limit(progress))

    def kept(self, step: int) -> list[int]:
        """The experts of ``dense`` at a step: each is dropped with the given probability, but never all.

        A function of (seed, step) alone. Stochastic DGKD: Son, Na, Choi, Hwang, ICCV 2021, section 3.3.
        """
        count = len(self.spec.experts)
        if self.spec.stochastic_drop == 0:
            return list(range(count))
        draw = generator(self.seed, Purpose.EXPERT_DROP, step).random(count)
        kept = [expert for expert in range(count) if draw[expert] >= self.spec.stochastic_drop]
        return kept or [int(draw.argmax())]
