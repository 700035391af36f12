"""Data configuration of weights: the input that they were trained on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DataConfig:
    """Input that a network's weights were trained on, as far as it is known.

    Attributes:
        source: where it is written, in words.
        mean, std: of each channel, for pixels in [0, 1].
        image_size: the edge of the images in pixels.
        classes: number of classes of the weights.
    """

    source: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    image_size: int | None = None
    classes: int | None = None
