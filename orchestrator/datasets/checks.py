"""Checks of images, labels and subsets, shared by all data sets."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.datasets.spec import TEST, TRAIN, VALIDATION, DatasetError

PARTS = {TRAIN: "training", VALIDATION: "validation", TEST: "test"}
DARK = 16  # of 255: what white becomes where 12-bit images are taken for 16-bit ones
SHOWN = 5  # classes named in a note or an error


def check_arrays(
    images: NDArray[np.uint8], labels: NDArray[np.int64], classes: int, expected_shape: tuple[int, int, int]
) -> list[tuple[int, str]]:
    """Returns the broken images as (number, reason): those whose label is not in [0, classes).

    An image of one colour is valid: an occluded, low-contrast digit can be all black and still has its label. Any uint8
    value is a valid pixel, so no other damage can be found in a single image.

    Args:
        images: (N, height, width, channels).
        labels: (N,).
        classes: the number of classes.
        expected_shape: (channels, height, width).

    Raises:
        DatasetError: when an array has another dtype or shape.
    """
    channels, height, width = expected_shape
    _expect("images", images, np.dtype(np.uint8), (len(images), height, width, channels))
    _expect("labels", labels, np.dtype(np.int64), (len(images),))
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    return [(int(i), f"label {labels[i]} is not in 0 to {classes - 1}") for i in outside]


def check_brightness(brightest: int) -> None:
    """Check that photos are not all nearly black, as grey images of more than 8 bits are with a wrong white level.

    Args:
        brightest: the largest value of all pixels.

    Raises:
        DatasetError: when it is too small.
    """
    if brightest <= DARK:
        raise DatasetError(
            f"no image has a pixel brighter than {DARK} of 255. If these are grey images of more than 8 bits, set "
            "dataset.white_level to the value that is white in them (4095 for 12 bits); else check the images"
        )


def class_notes(counts: NDArray[np.int64], class_names: Sequence[str]) -> list[str]:
    """Returns a sentence for each subset that lacks some classes; ``counts`` are images by subset and class."""
    notes = []
    for part, words in PARTS.items():
        absent = [name for name, count in zip(class_names, counts[part], strict=True) if not count]
        if absent:
            notes.append(f"classes without {words} images: {_some(absent)} ({len(absent)} of {len(class_names)})")
    return notes


def count_by_part(labels: NDArray[np.int64], subset: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Returns the images by subset and class, (3, classes); labels outside the classes are ignored."""
    return np.stack([_counts(labels[subset == part], classes) for part in sorted(PARTS)])


def emptied(
    labels: NDArray[np.int64], subset: NDArray[np.uint8], keep: NDArray[np.bool_], class_names: Sequence[str]
) -> list[str]:
    """Returns a sentence for each subset or class without an image once broken ones are left out; empty if none is.

    Every subset (training, validation, test) needs an image, and so does each class of the training and test images.

    Args:
        labels: (N,), as in ``ArrayImages``.
        subset: (N,), as in ``ArrayImages``.
        keep: (N,), False for a broken image.
        class_names: one name a class.
    """
    lost = []
    for part, words in PARTS.items():
        here = subset == part
        if here.any() and not keep[here].any():
            lost.append(f"no {words} image is left: {here.sum():,} of {here.sum():,} are broken")
            continue
        if part == VALIDATION:
            continue
        before = _counts(labels[here], len(class_names))
        after = _counts(labels[here & keep], len(class_names))
        gone = np.flatnonzero((before > 0) & (after == 0))
        lost += [
            f"class {class_names[label]} has no {words} image left: {before[label]:,} of {before[label]:,} are broken"
            for label in gone[:SHOWN]
        ]
        if len(gone) > SHOWN:
            lost.append(f"{len(gone) - SHOWN:,} more classes have no {words} image left")
    return lost


def _counts(labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    return np.bincount(labels[(labels >= 0) & (labels < classes)], minlength=classes)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _expect(name: str, array: NDArray[np.generic], dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise DatasetError(
            f"{name}: expected {dtype} of shape {shape}, found {array.dtype} of shape {array.shape}; "
            "convert the array before it is checked"
        )
