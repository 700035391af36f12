"""Views of photos: crops that are decoded and resized to the network's input. Imports no torch: decoders start sooner.

Resizing is by triangle filter (antialiased bilinear), at any fraction of a pixel, by cykooz-resizer: that of Pillow in
a fifth of its time, the same on every processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cykooz_resizer import FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer
from cykooz_resizer.structs import CropBox

from orchestrator.datasets.decoding import Photo
from orchestrator.datasets.jpeg import REDUCTIONS
from orchestrator.datasets.photos import Photos, read_patiently
from orchestrator.training.data.views import CLEAN, Box, crop_box

IntArray = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]

TRIANGLE = ResizeAlg.convolution(FilterType.bilinear)


@dataclass(frozen=True)
class Crops:
    """Maker of views; a view's pixels are a function of (seed, image, view) and the photo alone.

    Args:
        photos: the encoded photos.
        size: pixels of a view's edge.
        augmentation: ``none`` makes every view the clean one.
        seed: of the views.
        white_level: as in ``decode_content``.
    """

    photos: Photos
    size: int
    augmentation: str
    seed: int
    white_level: float | None = None

    def shape(self, images: int, views: int) -> tuple[int, int, int, int, int]:
        """Returns the shape of views of some images."""
        return views, images, self.size, self.size, 3

    def fill(self, out: Pixels, images: IntArray, numbers: Sequence[int]) -> None:
        """Write views of images into ``out``: uint8 (len(numbers), len(images), size, size, 3).

        Raises:
            BrokenImageError: naming a photo that can't be decoded.
            OSError: naming a photo that can't be read, also when tried again.
        """
        for place, image in enumerate(images.tolist()):
            content = read_patiently(self.photos, image)
            photo = Photo(content, self.photos.name(image), self.white_level)
            for which, number in enumerate(numbers):
                chosen = CLEAN if self.augmentation == "none" else number
                box, mirror = crop_box(self.seed, image, chosen, photo.width, photo.height)
                # By this view's box alone: its pixels must not depend on which views are asked for together.
                pixels, reduction = photo.reduced(reduction_for(box, self.size))
                left, upper, right, lower = (edge / reduction for edge in box)
                crop = resized(pixels, (left, upper, right, lower), self.size)
                if not mirror:
                    out[which, place] = crop
                    continue
                for channel in range(3):  # each by itself: four times as fast in numpy as all three at once
                    out[which, place, :, :, channel] = crop[:, ::-1, channel]


def reduction_for(box: Box, size: int) -> int:
    """Returns the largest divisor at which the box of a photo still has ``size`` pixels or more each way."""
    left, upper, right, lower = box
    edge = min(right - left, lower - upper)
    return next((reduction for reduction in REDUCTIONS if edge >= size * reduction), 1)


def resized(pixels: Pixels, box: Box, size: int) -> Pixels:
    """Returns a box (left, upper, right, lower) of an image, resized to (size, size, 3)."""
    height, width, _ = pixels.shape
    left, upper, right, lower = box
    crop = CropBox(left, upper, _extent(left, right, width), _extent(upper, lower, height))
    source = ImageData(width, height, PixelType.U8x3, pixels.tobytes())
    target = ImageData(size, size, PixelType.U8x3)
    Resizer().resize(source, target, ResizeOptions(TRIANGLE, use_alpha=False, crop_box=crop))
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(size, size, 3)


def _extent(start: float, stop: float, limit: int) -> float:
    """Returns ``stop - start``, or the little less by which ``start`` plus it, rounded, is within the image."""
    extent = stop - start
    while start + extent > limit:
        extent = math.nextafter(extent, 0)
    return extent
