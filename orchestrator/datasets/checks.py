"""Checks of a set that lies in memory."""

import numpy as np
from numpy.typing import NDArray

from orchestrator.datasets.spec import DatasetError


def check_arrays(
    images: NDArray[np.uint8], labels: NDArray[np.int64], classes: int, expected_shape: tuple[int, int, int]
) -> list[tuple[int, str]]:
    """The broken images as (number, reason): those whose label is not in [0, classes).

    An image of one colour counts as whole: an occluded, low-contrast digit can be all black and still has its label.
    Any uint8 value is a valid pixel, so no other damage shows in a single image.

    images: (N, height, width, channels). labels: (N,). expected_shape: (channels, height, width).
    Raises DatasetError if the arrays as a whole have another dtype or shape.
    """
    channels, height, width = expected_shape
    _expect("images", images, np.dtype(np.uint8), (len(images), height, width, channels))
    _expect("labels", labels, np.dtype(np.int64), (len(images),))
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    return [(int(i), f"label {labels[i]} is not in 0 to {classes - 1}") for i in outside]


def _expect(name: str, array: NDArray[np.generic], dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise DatasetError(
            f"{name}: expected {dtype} of shape {shape}, found {array.dtype} of shape {array.shape}; "
            "convert the array before it is checked"
        )
