"""Sums over the steps between two validations, kept on the device so that no step waits for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from orchestrator.training.world import World

_NEVER = 2**53  # no step: a whole number that float64 holds


@dataclass(frozen=True)
class StepMetrics:
    """Metrics of the steps since the last validation, over all workers.

    ``images`` were shown; ``loss`` is their mean training loss, ``accuracy`` the share of them that was right.
    ``diverged_at`` is the first step whose loss was not finite, if there was one.
    """

    images: float
    loss: float
    accuracy: float
    diverged_at: int | None


class RunningMetrics:
    """The sums of one worker; ``read`` clears them."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._clear()

    def _clear(self) -> None:
        self.loss = torch.zeros((), dtype=torch.float64, device=self.device)
        self.right = torch.zeros((), dtype=torch.int64, device=self.device)
        self.bad_step = torch.full((), _NEVER, dtype=torch.int64, device=self.device)
        self.images = 0

    def add(self, losses: Tensor, right: Tensor, step: int) -> None:
        """Count a step: each image's loss (B,), and whether it was right, bool (B,)."""
        total = losses.sum()
        self.loss += total.double()
        self.right += right.sum()
        self.images += len(losses)
        self.bad_step = torch.where(torch.isfinite(total), self.bad_step, self.bad_step.clamp(max=step))

    def state(self) -> Tensor:
        """Returns the sums of this worker, float64 (4,)."""
        images = torch.tensor(self.images, dtype=torch.float64, device=self.device)
        return torch.stack([self.loss, self.right.double(), images, self.bad_step.double()])

    def restore(self, state: Tensor) -> None:
        """Continue from the first values of ``state``, those of ``state()``."""
        loss, right, images, bad_step = state[:4].to(self.device)
        self.loss, self.right, self.bad_step = loss.clone(), right.long(), bad_step.long()
        self.images = int(images.item())

    @staticmethod
    def joined(states: Tensor) -> Tensor:
        """Returns the sums of several workers, (workers, 4 or more), as those of one, (4,)."""
        return torch.cat([states[:, :3].sum(dim=0), states[:, 3].min()[None]])

    @staticmethod
    def diverged_at(states: Tensor) -> int | None:
        """Returns the first step of several workers, (workers, 4 or more), whose loss was not finite, if there is one.

        Waits for the device.
        """
        step = int(states[:, 3].min().item())
        return None if step == _NEVER else step

    def read(self, world: World) -> StepMetrics:
        """Returns the sums over all workers and clears them; waits for the device."""
        images_here = torch.tensor(self.images, dtype=torch.float64, device=self.device)
        sums = torch.stack([self.loss, self.right.double(), images_here])
        world.sum_(sums)
        first_bad = -self.bad_step.double()  # workers share a maximum only
        world.max_(first_bad)
        loss, right, images = sums.tolist()
        bad_step = -int(first_bad.item())
        self._clear()
        return StepMetrics(images, loss / images, right / images, None if bad_step == _NEVER else bad_step)
