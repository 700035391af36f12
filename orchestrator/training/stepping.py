"""Steps of a training: forward passes of a batch's parts, their gradients, and the optimiser's update.

A step has one forward pass, or as many as ``micro_batch`` makes necessary: gradients are added up over them, and
workers exchange them once. So the size of a pass changes memory and rounding, and nothing else (but which random
numbers dropout draws).
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from orchestrator.pipeline.specs import TrainSpec
from orchestrator.randomness import Purpose, torch_seed
from orchestrator.recipe.norm_groups import forward_passes
from orchestrator.training import optim
from orchestrator.training.batch_norm import GroupedNormalisation
from orchestrator.training.data.batches import Batch
from orchestrator.training.data.images import TrainingData
from orchestrator.training.data.loader import Loader, StepGroup
from orchestrator.training.device import to_device
from orchestrator.training.guidance.distillation.base import StepContext
from orchestrator.training.guidance.experts import Shown
from orchestrator.training.guidance.teaching import Teaching
from orchestrator.training.precision import autocast
from orchestrator.training.running_metrics import RunningMetrics
from orchestrator.training.snapshots import Snapshots
from orchestrator.training.world import World

MOST_WORKERS = 1 << 20  # of one training, so that each has streams of its own


class Stepper:
    """Takes the steps of one training, on this worker's part of each batch.

    Args:
        images: the data set's numbers of the training images, (N,).
        micro_batch: most images in one forward pass; None: the whole part.
        snapshots: told of each step that is done.

    Attributes:
        right: whether the latest prediction of each training image was right, int32 (N,); None where it isn't asked.
    """

    def __init__(
        self, spec: TrainSpec, data: TrainingData, images: npt.NDArray[np.int64], device: torch.device, world: World,
        loader: Loader, norm: GroupedNormalisation, teaching: Teaching, optimizer: torch.optim.Optimizer,
        sums: RunningMetrics, right: torch.Tensor | None, micro_batch: int | None, snapshots: Snapshots,
    ) -> None:  # fmt: skip
        self.spec, self.data, self.images, self.device, self.world = spec, data, images, device, world
        self.loader, self.norm, self.teaching, self.optimizer = loader, norm, teaching, optimizer
        self.sums, self.right, self.micro_batch, self.snapshots = sums, right, micro_batch, snapshots
        self.bf16 = spec.precision == "bf16"
        accumulates = micro_batch is not None
        self.model, self.loss = (world.wrap(module, accumulates) for module in (norm.network, teaching))
        self.model.train()

    def take(self, group: StepGroup) -> None:
        """Take the steps of a group."""
        first, steps = group.batches[0].step, self.spec.steps
        targets = [None] * len(group.batches)
        if self.micro_batch is None:
            targets = self.teaching.targets(group.shown, group.sizes, first, steps)
        for batch, shown, target in zip(group.batches, group.shown.parts(group.sizes), targets, strict=True):
            self._take_step(batch, shown, target)
            self.snapshots.after(batch.step + 1)

    def _take_step(self, batch: Batch, shown: Shown, target: Any) -> None:
        self._seed_dropout(batch.step)
        rate = optim.learning_rate(self.spec.optimizer, batch.step, self.spec.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        passes = forward_passes(self.loader.piece_sizes(batch), self.micro_batch)
        parts = shown.parts([sum(sizes) for sizes in passes])
        for number, (sizes, part) in enumerate(zip(passes, parts, strict=True), start=1):
            if self.micro_batch is not None:
                (target,) = self.teaching.targets(part, [len(part.numbers)], batch.step, self.spec.steps)
            more = number < len(passes)
            with self.world.accumulating(self.model, self.loss) if more else nullcontext():
                self._pass(batch, part, sizes, target)
        self.optimizer.step()
        self.norm.end_step()

    def _pass(self, batch: Batch, shown: Shown, sizes: list[int], target: Any) -> None:
        """Run a part forward and backward, which adds to the gradients."""
        labels = self.data.labels[to_device(self.images[shown.numbers], self.device)]
        with autocast(self.device, self.bf16), self.norm.pass_of(sizes):
            logits = self.model(shown.pixels)
        self.teaching.context = StepContext(batch.step, self.spec.steps, sizes, self.norm.sum_over_peers)
        each = self.loss(logits, labels, target)
        # The gradient is that of the mean over the whole batch, however unevenly the workers share it.
        loss = each.sum() * (self.world.size / len(batch.positions))
        loss.backward()
        with torch.no_grad():
            right = logits.detach().argmax(dim=1) == labels
            self.sums.add(each.detach(), right, batch.step)
            if self.right is not None:
                self.right.index_copy_(0, to_device(shown.numbers, self.device), right.int())

    def _seed_dropout(self, step: int) -> None:
        """Make what a network draws while it trains (dropout) a function of the step as well."""
        seed = torch_seed(self.spec.seed, Purpose.DROPOUT, step * MOST_WORKERS + self.world.rank)
        # Not torch.manual_seed: on a machine without a GPU it keeps a stack trace of every call.
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)
