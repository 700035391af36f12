"""A network behind a scale and a shift of its input's channels."""

from __future__ import annotations

from torch import Tensor, nn


class ScaledInput(nn.Module):
    """Images (B, channels, H, W) -> ``network(images * scale + shift)``; ``scale`` and ``shift`` are (channels,).

    They are part of the state and are not trained.
    """

    def __init__(self, network: nn.Module, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.network = network
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", scale.view(1, -1, 1, 1))
        self.register_buffer("shift", shift.view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images * self.scale + self.shift)
        return logits
