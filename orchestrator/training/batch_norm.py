"""Batch normalisation over norm groups: the same statistics for any number of workers.

A worker with several groups of a batch normalises each on its own: ghost batch normalisation (Hoffer, Hubara, Soudry
2017, "Train longer, generalize better", section 3.2). Workers that share a group add up its statistics: synchronised
batch normalisation (Peng et al. 2018, "MegDet", section 3.2), here in groups of workers.

Running statistics take one step of their moving average a training step, towards the mean over all groups of each
group's mean and unbiased variance. The average is linear, so that each worker may keep that of its own groups: at a
validation the workers' averages, weighted by their shares of the groups, are those of a single worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.norm_act import BatchNormAct2d
from orchestrator.recipe.norm_groups import NormGroups
from orchestrator.training.world import World, sum_over

_REPLACED = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class GroupedNormalisation:
    """The batch normalisation of one training, all layers of its network together.

    Attributes:
        network: the network with its layers replaced; names in its ``state_dict`` are those of the plain network. As it
            was where a single worker has whole batches as one group.

    Raises:
        ValueError: when the network has a subclass of batch normalisation, of which nothing is known.
    """

    def __init__(self, network: nn.Module, groups: NormGroups, world: World) -> None:
        self.groups, self.world = groups, world
        self.sizes: Sequence[int] | None = None
        self.peers: dist.ProcessGroup | None = None  # all workers
        self.layers: list[_Layer] = []
        self.network = network if groups == NormGroups() else self._replace("", network)
        if groups.are_shared and groups.count > 1:
            for group in range(groups.count):  # every worker takes part in making all of them
                sharing = groups.sharing(group)
                made = dist.new_group(list(sharing))
                if world.rank in sharing:
                    self.peers = cast(dist.ProcessGroup, made)

    def _replace(self, name: str, module: nn.Module) -> nn.Module:
        if isinstance(module, _BatchNorm):
            if type(module) is BatchNormAct2d:
                self.layers.append(_LayerAndAct(module, self))
                return self.layers[-1]
            if type(module) not in _REPLACED:
                raise ValueError(
                    f"layer {name} is a {type(module).__name__}, a kind of batch normalisation whose statistics can't "
                    "be taken over norm groups; train it with one worker and without training.norm_batch, or build it "
                    "of torch.nn.BatchNorm layers"
                )
            self.layers.append(_Layer(module, self))
            return self.layers[-1]
        for child, content in module.named_children():
            setattr(module, child, self._replace(f"{name}.{child}" if name else child, content))
        return module

    @contextmanager
    def pass_of(self, sizes: Sequence[int]) -> Iterator[None]:
        """The context of a forward pass in training; ``sizes`` are this worker's images of each group."""
        self.sizes = sizes
        try:
            yield
        finally:
            self.sizes = None

    def sum_over_peers(self, values: Tensor) -> Tensor:
        """Returns the sum of the values over the workers that share this one's norm groups, with a gradient."""
        return sum_over(values, self.peers) if self.groups.are_shared else values

    def end_step(self) -> None:
        """Update running statistics by what the step's forward passes have seen."""
        for layer in self.layers:
            layer.end_step()

    def share(self) -> None:
        """Replace running statistics by those of all groups, on every worker."""
        weight = self.groups.weight(self.world.rank)
        for layer in self.layers:
            for running in (layer.running_mean, layer.running_var):
                if running is not None and self.world.size > 1:
                    running.mul_(weight)
                    self.world.sum_(running)


class _Layer(_BatchNorm):
    """A layer over norm groups, with the parameters and buffers of the one that it replaces."""

    def __init__(self, plain: _BatchNorm, whole: GroupedNormalisation) -> None:
        super().__init__(plain.num_features, plain.eps, plain.momentum, plain.affine, plain.track_running_stats)
        self.weight, self.bias = plain.weight, plain.bias
        for name, buffer in plain.named_buffers(recurse=False):
            setattr(self, name, buffer)
        self.train(plain.training)
        self.whole = whole
        self.means: list[Tensor] = []  # of each group since the last step
        self.variances: list[Tensor] = []

    def _check_input_dim(self, input: Tensor) -> None:
        return None

    def forward(self, input: Tensor) -> Tensor:
        """Returns the normalised input, (B, features, ...)."""
        sizes = self.whole.sizes
        if not self.training or sizes is None:
            return super().forward(input)
        if len(input) != sum(sizes):
            raise ValueError(
                f"batch normalisation of {len(input)} items in a forward pass of {sum(sizes)} images: norm groups need "
                "a network that keeps images along the first dimension; train it with one worker and without "
                "training.norm_batch"
            )
        if self.whole.groups.are_shared:
            arguments: Any = (input, self.weight, self.bias, self.eps, self.whole.peers)
            output, mean, variance = _OverWorkers.apply(*arguments)
            self._keep(mean, variance)
            return output
        parts = [self._normalised(part) for part in (input.split(list(sizes)) if len(sizes) > 1 else [input])]
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _normalised(self, part: Tensor) -> Tensor:
        """Returns one group normalised, by the operator that the plain layer uses."""
        mean, variance = (torch.zeros(self.num_features, device=part.device) for _ in range(2))
        output = F.batch_norm(part, mean, variance, self.weight, self.bias, True, 1.0, self.eps)
        self._keep(mean, variance)  # with a momentum of 1, those of this group alone
        return output

    def _keep(self, mean: Tensor, variance: Tensor) -> None:
        if self.track_running_stats:
            self.means.append(mean)
            self.variances.append(variance)

    @torch.no_grad()
    def end_step(self) -> None:
        """See ``GroupedNormalisation.end_step``."""
        if not self.means or self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        for running, seen in ((self.running_mean, self.means), (self.running_var, self.variances)):
            running.mul_(1 - momentum).add_(torch.stack(seen).mean(dim=0), alpha=momentum)
            seen.clear()


class _LayerAndAct(_Layer):
    """A layer over norm groups in the place of one that has an activation too."""

    def __init__(self, plain: BatchNormAct2d, whole: GroupedNormalisation) -> None:
        super().__init__(plain, whole)
        self.drop, self.act = plain.drop, plain.act

    def forward(self, input: Tensor) -> Tensor:
        activated: Tensor = self.act(self.drop(super().forward(input)))
        return activated


class _OverWorkers(torch.autograd.Function):
    """Batch normalisation of images that several workers have, (B, C, ...); one sum over them in each direction.

    Returns the normalised input, and without a gradient mean and unbiased variance, (C,) each. Only the input is kept
    for the backward pass, as by torch's own operator.
    """

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, peers: dist.ProcessGroup | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        rest, wide = _rest(input), _wide(input)
        values, count = input.float(), input.numel() // input.shape[1]
        if count:
            variance, mean = (value.double() for value in torch.var_mean(values, rest, correction=0))
        else:
            mean = variance = values.new_zeros(input.shape[1], dtype=torch.float64)
        # In float64, where the difference of squares below loses nothing that counts.
        sums = torch.cat([mean * count, (variance + mean.square()) * count, mean.new_full((1,), count)])
        dist.all_reduce(sums, group=peers)
        features, total = input.shape[1], sums[-1]
        mean = sums[:features] / total
        variance = (sums[features:-1] / total - mean.square()).clamp(min=0)
        inverse = (variance + eps).rsqrt()
        unbiased = variance * total / (total - 1).clamp(min=1)
        mean, inverse, unbiased = mean.float(), inverse.float(), unbiased.float()
        scale = inverse if weight is None else inverse * weight
        output = (values - mean.view(wide)) * scale.view(wide)
        if bias is not None:
            output += bias.view(wide)
        ctx.save_for_backward(input, weight, mean, inverse, total)
        ctx.peers = peers
        ctx.mark_non_differentiable(mean, unbiased)
        return output.to(input.dtype), mean, unbiased

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, mean, inverse, total = ctx.saved_tensors
        rest, wide = _rest(input), _wide(input)
        above, centred = gradients[0].float(), input.float() - mean.view(wide)
        own = torch.cat([above.sum(rest), (above * centred).sum(rest)])
        over_all = own.double()
        dist.all_reduce(over_all, group=ctx.peers)
        gradient, product = (over_all / total).float().chunk(2)
        below = above - gradient.view(wide) - centred * (product * inverse.square()).view(wide)
        below = below * (inverse if weight is None else inverse * weight).view(wide)
        of_bias, of_weight = own.chunk(2)  # of this worker's images: what wraps the network adds up the workers'
        if weight is None:
            return below.to(input.dtype), None, None, None, None
        return below.to(input.dtype), of_weight * inverse, of_bias, None, None


def _rest(input: Tensor) -> list[int]:
    """Returns all dimensions but that of the features."""
    return [0, *range(2, input.dim())]


def _wide(input: Tensor) -> list[int]:
    """Returns the shape in which a value a feature is spread over the input."""
    return [1, -1, *[1] * (input.dim() - 2)]
