"""Checks of images, labels and parts that every data set shares."""

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


def check_brightness(brightest: int) -> None:
    """Raise DatasetError if photos are all nearly black; `brightest` is the largest value of all their pixels.

    Grey images of more than 8 bits are so where their white lies elsewhere than at the largest value of their type.
    """
    if brightest <= DARK:
        raise DatasetError(
            f"no image has a pixel brighter than {DARK} of 255. If these are grey images of more than 8 bits, set "
            "dataset.white_level to the value that is white in them (4095 for 12 bits); else see to the images"
        )


def class_notes(labels: NDArray[np.int64], subset: NDArray[np.uint8], class_names: Sequence[str]) -> list[str]:
    """A sentence for each part of the data that lacks some classes; labels that are no class are passed over."""
    notes = []
    for part, words in PARTS.items():
        counts = _counts(labels[subset == part], len(class_names))
        absent = [name for name, count in zip(class_names, counts, strict=True) if not count]
        if absent:
            notes.append(f"classes without {words} images: {_some(absent)} ({len(absent)} of {len(class_names)})")
    return notes


def emptied(
    labels: NDArray[np.int64], subset: NDArray[np.uint8], keep: NDArray[np.bool_], class_names: Sequence[str]
) -> list[str]:
    """Sentences on what has no image left once broken ones are left out; empty where the set can still be used.

    A part (training, validation, test) must keep an image, and so must each class of the training and the test part.

    labels, subset: (N,), as in ArrayImages. keep: (N,), False for a broken image.
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
