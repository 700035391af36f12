"""Data-parallel workers of one training, each with its part of every batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class World:
    """One worker's place among ``size`` workers; torch's process group must be set up before."""

    rank: int = 0
    size: int = 1

    def part(self, items: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Returns this worker's part: parts are disjoint, cover everything, and differ by one item at most."""
        count = len(items)
        return items[self.rank * count // self.size : (self.rank + 1) * count // self.size]

    def wrap(self, module: nn.Module, accumulates: bool = False) -> nn.Module:
        """Returns the module with gradients averaged over the workers; one without any to train as it is.

        ``accumulates``: whether gradients are added up over several passes before they are averaged.
        """
        trained = next((parameter for parameter in module.parameters() if parameter.requires_grad), None)
        if self.size == 1 or trained is None:
            return module
        wrapped = DistributedDataParallel(
            module, device_ids=[trained.device] if trained.device.type == "cuda" else None,
            gradient_as_bucket_view=True, static_graph=not accumulates,
        )  # fmt: skip
        # Running statistics are shared at validations (``batch_norm.py``). The argument has another name in torch 2.14.
        wrapped.broadcast_buffers = False
        return wrapped

    @contextmanager
    def accumulating(self, *modules: nn.Module) -> Iterator[None]:
        """The context of a pass whose gradients are added up on this worker, to be averaged by a later pass."""
        with ExitStack() as stack:
            for module in modules:
                if isinstance(module, DistributedDataParallel):
                    stack.enter_context(module.no_sync())
            yield

    def sum_(self, values: Tensor) -> None:
        """Replace ``values`` by their sum over the workers."""
        if self.size > 1:
            dist.all_reduce(values)

    def max_(self, values: Tensor) -> None:
        """Replace ``values`` by their maximum over the workers."""
        if self.size > 1:
            dist.all_reduce(values, op=dist.ReduceOp.MAX)

    def any(self, mine: bool, device: torch.device) -> bool:
        """Returns, on every worker, whether the flag holds on any of them."""
        flag = torch.tensor(int(mine), device=device)
        self.max_(flag)
        return bool(flag.item())

    def first(self, mine: list[int], device: torch.device) -> list[int]:
        """Returns, on every worker, the numbers of the main one; waits for the device where there are several."""
        if self.size == 1:
            return mine
        numbers = torch.tensor(mine, device=device)
        dist.broadcast(numbers, 0)
        return [int(number) for number in numbers.tolist()]

    def every(self, mine: Tensor) -> Tensor:
        """Returns the values (V,) of each worker, (workers, V)."""
        if self.size == 1:
            return mine[None]
        found = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(found, mine)
        return torch.stack(found)

    def share_buffers(self, network: nn.Module) -> None:
        """Give every worker the first one's buffers."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, 0)

    def main(self) -> bool:
        """Returns whether this is the worker that writes and reports."""
        return self.rank == 0


def sum_over(values: Tensor, workers: dist.ProcessGroup | None) -> Tensor:
    """Returns the sum of ``values`` over the workers, on each of them; None: all workers.

    It has a gradient: what each worker makes of the sum adds to the gradient of every worker's values.
    """
    summed: Tensor = _SumOver.apply(values, workers)
    return summed


class _SumOver(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, workers: dist.ProcessGroup | None) -> Tensor:
        ctx.workers = workers
        summed = values.clone()
        dist.all_reduce(summed, group=workers)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        summed = gradients[0].clone()
        dist.all_reduce(summed, group=ctx.workers)
        return summed, None
