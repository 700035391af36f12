"""Stratified split of a set into training, validation and test images; a function of the seed."""

import numpy as np
from numpy.typing import NDArray

from orchestrator.datasets.spec import TRAIN, VALIDATION, DatasetError
from orchestrator.randomness import Purpose, generator


def validation_count(images: int, classes: int, validation: int | float) -> int:
    """Returns the number of training images to cut for validation; a share is rounded to the nearest image.

    Raises:
        DatasetError: when that is none, or a class would be left without a training image.
    """
    count = validation if isinstance(validation, int) else int(validation * images + 0.5)
    if count < 1:
        raise DatasetError(
            f"dataset.validation: {validation} takes {count} of {images} training images; give a larger one"
        )
    if count > images - classes:
        raise DatasetError(
            f"dataset.validation: {validation} takes {count} of {images} training images, which leaves less than one "
            f"for each of {classes} classes; give a smaller one"
        )
    return count


def cut_validation(
    labels: NDArray[np.int64], subset: NDArray[np.uint8], validation: int | float, seed: int
) -> NDArray[np.uint8]:
    """Returns ``subset`` (N,) with validation images cut from its training images.

    The cut has exactly the requested number of images, divided among the classes in proportion to their size, and
    leaves each class at least one training image. A set with validation images is returned unchanged.

    Args:
        labels: (N,) class numbers.
        subset: (N,) of TRAIN, VALIDATION, TEST; not changed.
        validation: number of images (int) or share (float in (0, 1)).
        seed: the random seed.

    Raises:
        DatasetError: when there are too few training images.
    """
    subset = subset.copy()
    if np.any(subset == VALIDATION):
        return subset
    candidates = np.flatnonzero(subset == TRAIN)
    classes = len(np.unique(labels[candidates]))
    count = validation_count(len(candidates), classes, validation)
    subset[draw_by_class(labels, candidates, count, seed, Purpose.VALIDATION_CUT)] = VALIDATION
    return subset


def cut_counts(counts: NDArray[np.int64], validation: int | float) -> NDArray[np.int64]:
    """Returns the images by part and class once ``cut_validation`` has cut them.

    Args:
        counts: images by part (TRAIN, VALIDATION, TEST) and class, (3, classes); not changed.
        validation: number of images (int) or share (float in (0, 1)).

    Raises:
        DatasetError: when there are too few training images.
    """
    counts = counts.copy()
    if counts[VALIDATION].any():
        return counts
    there = np.flatnonzero(counts[TRAIN])
    sizes = counts[TRAIN, there]
    quotas = _quotas(sizes, validation_count(int(sizes.sum()), len(there), validation))
    counts[VALIDATION, there] = quotas
    counts[TRAIN, there] -= quotas
    return counts


def draw_by_class(
    labels: NDArray[np.int64], candidates: NDArray[np.int64], count: int, seed: int, purpose: Purpose
) -> NDArray[np.int64]:
    """Returns ``count`` of the image numbers in ``candidates``, drawn at random by class, never a whole class."""
    here = labels[candidates]
    classes, sizes = np.unique(here, return_counts=True)
    by_class = candidates[np.argsort(here, kind="stable")]  # sorted once: a thousand classes of a million images
    drawn = []
    for label, quota, end, size in zip(classes, _quotas(sizes, count), np.cumsum(sizes), sizes, strict=True):
        members = by_class[end - size : end]
        # The order of raw 64-bit words: numpy promises the same bits in every version, but not the same permutation.
        words = generator(seed, purpose, int(label)).bit_generator.random_raw(len(members))
        drawn.append(members[np.argsort(words, kind="stable")[:quota]])
    return np.concatenate(drawn)


def _quotas(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Divides ``count`` in proportion to ``sizes`` by largest remainder; each quota is below its class's size."""
    quotas, remainders = np.divmod(sizes * count, sizes.sum())
    order = np.argsort(-remainders, kind="stable")
    while (left := count - int(quotas.sum())) > 0:  # a second round only if some classes have a single image to give
        with_room = order[quotas[order] < sizes[order] - 1]
        quotas[with_room[:left]] += 1
    return quotas
