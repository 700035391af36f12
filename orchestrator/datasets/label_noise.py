"""Label noise: a share of the training labels replaced by other classes, as mistakes of annotators would."""

import numpy as np
from numpy.typing import NDArray

from orchestrator.datasets.spec import TRAIN
from orchestrator.randomness import Purpose, generator


def with_label_noise(
    labels: NDArray[np.int64], subset: NDArray[np.uint8], share: float, classes: int, seed: int
) -> NDArray[np.int64]:
    """Returns a copy of ``labels`` (N,) with a share of those of training images replaced, to the nearest image.

    Which ones is drawn without regard to their class, and the new class evenly from all others (symmetric noise).
    Under one seed the labels that a smaller share replaces are among those of a larger one, by the same classes.
    Labels of validation and test images stay as they are.

    Args:
        labels: (N,) class numbers; not changed.
        subset: (N,) of TRAIN, VALIDATION, TEST.
        share: in [0, 1).
        classes: the number of classes.
        seed: the random seed.
    """
    train = np.flatnonzero(subset == TRAIN)
    count = int(share * len(train) + 0.5)
    # Raw 64-bit words: numpy promises the same bits in every version, but not the same permutation.
    order, steps = (
        generator(seed, Purpose.LABEL_NOISE, index).bit_generator.random_raw(len(train)) for index in (0, 1)
    )
    chosen = np.argsort(order, kind="stable")[:count]
    replaced = train[chosen]
    noisy = labels.copy()
    noisy[replaced] = (labels[replaced] + 1 + (steps[chosen] % np.uint64(classes - 1)).astype(np.int64)) % classes
    return noisy
