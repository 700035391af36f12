"""Seeded image corruption of known strength, so that a measured difficulty can be compared with the true one."""

import numpy as np
from numpy.typing import NDArray

from orchestrator.randomness import Purpose, generator

ROTATION = 50.0  # degrees
SCALE = 0.3
SHIFT = 0.3  # of half the image
CONTRAST = 0.5
NOISE = 0.45  # for pixels in [0, 1]
PATCH = 7  # pixels


def corrupt(images: NDArray[np.uint8], seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Damages each image by a severity s drawn uniformly from [0, 1).

    In this order, with u drawn anew from [-1, 1) each time:

    - an affine map, sampled bilinearly, black outside: rotation by 50 s u degrees, scale 1 + 0.3 s u, shift by 0.3 s u
      of half the width and half the height;
    - contrast: pixels times 1 - 0.5 s;
    - Gaussian noise of standard deviation 0.45 s, for pixels in [0, 1];
    - with probability s, a black patch of 7 x 7 pixels anywhere inside the image;
    - clipping and rounding to uint8.

    The result for image i is a function of (seed, i) and its pixels only.

    Args:
        images: (N, height, width, channels), height and width at least 7; not changed.
        seed: the random seed.

    Returns:
        Images of the same shape, and severities (N,).
    """
    count, height, width, _ = images.shape
    severity = np.empty(count, np.float32)
    draws = np.empty((count, 7), np.float64)
    noise = np.empty(images.shape, np.float32)
    for i in range(count):
        stream = generator(seed, Purpose.SEVERITY, i)
        severity[i] = stream.random(dtype=np.float32)
        draws[i] = stream.random(7)
        stream.standard_normal(out=noise[i], dtype=np.float32)

    signed = (2 * draws[:, :4] - 1) * severity[:, None]
    angle, scale = np.deg2rad(ROTATION * signed[:, 0]), 1 + SCALE * signed[:, 1]
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(count, 2, 2) / scale[:, None, None]
    pixels = _resample(images.astype(np.float32) / np.float32(255), matrix, SHIFT * signed[:, 2:])

    strength = severity[:, None, None, None]
    pixels = pixels * (1 - CONTRAST * strength) + NOISE * strength * noise
    covered = _patches(draws[:, 5:], height, width) & (draws[:, 4] < severity)[:, None, None]
    pixels[covered] = 0
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8), severity


def _resample(
    images: NDArray[np.float32], matrix: NDArray[np.float64], shift: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Returns images (N, H, W, C) sampled bilinearly at ``matrix @ (x, y) + shift``, black outside.

    Coordinates span [-1, 1] in both directions; matrix is (N, 2, 2), shift (N, 2).
    """
    count, height, width, _ = images.shape
    x = (2 * np.arange(width) + 1) / width - 1
    y = (2 * np.arange(height) + 1)[:, None] / height - 1
    column, row = (
        ((m[:, 0, None, None] * x + m[:, 1, None, None] * y + t[:, None, None] + 1) * size - 1) / 2
        for m, t, size in ((matrix[:, 0], shift[:, 0], width), (matrix[:, 1], shift[:, 1], height))
    )
    left, top = np.floor(column).astype(np.int64), np.floor(row).astype(np.int64)
    image = np.arange(count)[:, None, None]
    sampled = np.zeros_like(images)
    for r, row_weight in ((top, top + 1 - row), (top + 1, row - top)):
        for c, column_weight in ((left, left + 1 - column), (left + 1, column - left)):
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            weight = (row_weight * column_weight * inside).astype(np.float32)
            sampled += weight[..., None] * images[image, r.clip(0, height - 1), c.clip(0, width - 1)]
    return sampled


def _patches(draws: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """Returns a mask of a square of PATCH pixels, placed by two numbers in [0, 1): (N, 2) -> (N, height, width)."""
    top = np.floor(draws[:, 0] * (height - PATCH + 1))[:, None]
    left = np.floor(draws[:, 1] * (width - PATCH + 1))[:, None]
    rows = (np.arange(height) >= top) & (np.arange(height) < top + PATCH)
    columns = (np.arange(width) >= left) & (np.arange(width) < left + PATCH)
    return rows[:, :, None] & columns[:, None, :]
