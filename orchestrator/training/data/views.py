"""Views: one fixed augmentation of an image, named by an integer.

The parameters of a view are a function of (seed, image, view) alone, by a counter-based generator, so that a resumed
run, another worker and the expert that teaches all see the same pixels. ``CLEAN`` is the image without augmentation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from orchestrator import randomness
from orchestrator.randomness import Purpose

CLEAN = -1

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]


def uniforms(seed: int, images: IntArray, view: int, count: int) -> FloatArray:
    """Returns numbers in [0, 1), (len(images), count), a function of (seed, image, view, column) alone."""
    return randomness.uniforms(seed, Purpose.VIEW, view, images, count)


def view_of_pass(pass_number: int, views: int) -> int:
    """The view that pass ``pass_number`` shows: a new one in every pass, or one of ``views`` in turn."""
    return pass_number % views if views else pass_number


def crop_indices(
    seed: int, images: IntArray, view: int, height: int, width: int, flip: bool
) -> tuple[IntArray, IntArray]:
    """Rows (B, height) and columns (B, width) of a random crop of the image padded by an eighth, maybe mirrored.

    The padding reflects the image at its edge, so that a crop is a gather from the image itself (He et al. 2016 pad
    with zeros; an eighth is their 4 pixels at 32). CLEAN is the image as it is.
    """
    rows = np.broadcast_to(np.arange(height, dtype=np.int64), (len(images), height))
    columns = np.broadcast_to(np.arange(width, dtype=np.int64), (len(images), width))
    if view == CLEAN:
        return rows, columns
    draw = uniforms(seed, images, view, 3)
    pad_rows, pad_columns = height // 8, width // 8
    rows = rows + (np.floor(draw[:, :1] * (2 * pad_rows + 1)).astype(np.int64) - pad_rows)
    columns = columns + (np.floor(draw[:, 1:2] * (2 * pad_columns + 1)).astype(np.int64) - pad_columns)
    if flip:
        columns = np.where(draw[:, 2:3] < 0.5, columns[:, ::-1], columns)
    return _reflect(rows, height), _reflect(columns, width)


def _reflect(positions: IntArray, size: int) -> IntArray:
    positions = np.abs(positions)
    return np.where(positions >= size, 2 * (size - 1) - positions, positions)


def crop_box(seed: int, image: int, view: int, width: int, height: int) -> tuple[Box, bool]:
    """The box (left, upper, right, lower) of a photo that is resized to the network's input, and whether to mirror.

    A view takes 8 to 100 % of the area at an aspect ratio of 3/4 to 4/3 (Szegedy et al., Going deeper with
    convolutions, 2015); a box that does not fit is cut to the photo. CLEAN takes the central 7/8 square of the shorter
    edge (the usual 224 of 256).
    """
    if view == CLEAN:
        edge = min(width, height) * 0.875
        left, upper = (width - edge) / 2, (height - edge) / 2
        return (left, upper, left + edge, upper + edge), False
    area, ratio, x, y, mirror = uniforms(seed, np.array([image]), view, 5)[0]
    size = width * height * (0.08 + 0.92 * area)
    aspect = np.exp((2 * ratio - 1) * np.log(4 / 3))
    box_width, box_height = min(float(np.sqrt(size * aspect)), width), min(float(np.sqrt(size / aspect)), height)
    left, upper = float(x) * (width - box_width), float(y) * (height - box_height)
    return (left, upper, left + box_width, upper + box_height), bool(mirror < 0.5)
