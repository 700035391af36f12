"""Snapshots of a training: the weights that its network has after some of its steps.

A snapshot is part of the training's state, so a training that is killed and resumed ends with bitwise the same ones.
Taking one changes nothing in the training: workers that share their running statistics for it take their own back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import Tensor

from orchestrator.training.batch_norm import GroupedNormalisation
from orchestrator.training.world import World


class Snapshots:
    """The snapshots of one training, held in the main memory.

    Args:
        steps: the steps after which they are taken.
        norm: has the network.
        world: this worker's place among the others; all of them take part.

    Attributes:
        taken: weights by name, by step.
    """

    def __init__(self, steps: Collection[int], norm: GroupedNormalisation, world: World) -> None:
        self.steps, self.norm, self.world = frozenset(steps), norm, world
        self.taken: dict[int, dict[str, Tensor]] = {}

    def after(self, step: int) -> None:
        """Take a snapshot, if there is to be one after so many steps; called after each of them."""
        if step not in self.steps:
            return
        network = self.norm.network
        own = [buffer.clone() for buffer in network.buffers()]
        self.norm.share()
        self.world.share_buffers(network)
        self.taken[step] = {
            name: value.detach().to("cpu", copy=True).contiguous() for name, value in network.state_dict().items()
        }
        for buffer, value in zip(network.buffers(), own, strict=True):
            buffer.copy_(value)

    def state(self) -> dict[str, Tensor]:
        """Returns the snapshots so far, for a checkpoint: ``<step>/<name>``."""
        return {f"{step}/{name}": value for step, taken in self.taken.items() for name, value in taken.items()}

    def restore(self, state: Mapping[str, Tensor], step: int) -> None:
        """Take over what ``state`` returned after so many steps.

        Raises:
            ValueError: when a snapshot is missing, since the training was begun without it.
        """
        taken: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            after, name = key.split("/", 1)
            taken.setdefault(int(after), {})[name] = value
        missing = sorted(wanted for wanted in self.steps - taken.keys() if wanted <= step)
        if missing:
            raise ValueError(f"the checkpoint of step {step} has no snapshot of step {missing[0]}")
        self.taken = taken
