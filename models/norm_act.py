"""Batch normalisation and activation in one layer, as networks of timm have it."""

from __future__ import annotations

from torch import Tensor, nn


class BatchNormAct2d(nn.BatchNorm2d):
    """Batch normalisation, then ``drop``, then ``act``: (B, C, H, W) -> (B, C, H, W).

    It stands in for timm's class of that name, with the same parameters under the same names. What it does beside
    batch normalisation are modules of its own, so that normalisation over norm groups and folding into a convolution
    can put something else in the place of the first step alone.
    """

    def __init__(self, plain: nn.BatchNorm2d, drop: nn.Module, act: nn.Module) -> None:
        super().__init__(plain.num_features, plain.eps, plain.momentum, plain.affine, plain.track_running_stats)
        self.weight, self.bias = plain.weight, plain.bias
        for name, buffer in plain.named_buffers(recurse=False):
            setattr(self, name, buffer)
        self.drop, self.act = drop, act
        self.train(plain.training)

    def forward(self, input: Tensor) -> Tensor:
        activated: Tensor = self.act(self.drop(super().forward(input)))
        return activated
