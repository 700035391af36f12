"""Counter-based random streams: each is a function of (seed, purpose, index) only."""

from __future__ import annotations

from enum import IntEnum, unique

import numpy as np
import numpy.typing as npt

_MIX_1, _MIX_2, _STEP = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)


@unique
class Purpose(IntEnum):
    """Purpose of a stream; two purposes never share numbers, even under one seed.

    The comments say what the index counts.
    """

    VALIDATION_CUT = 0  # classes
    TEST_SPLIT = 1  # classes
    SEVERITY = 2  # images
    PROTOTYPE = 3  # classes
    SYNTHETIC_IMAGE = 4  # images
    BATCH_ORDER = 5  # passes over the training images
    FOLDS = 6  # how many folds there are
    VIEW = 7  # views, with a stream for each image
    EXPERT_DROP = 8  # steps
    DROPOUT = 9  # steps, and workers within each
    LABEL_NOISE = 10  # 0: which labels are replaced, 1: their new classes


def generator(seed: int, purpose: Purpose, index: int) -> np.random.Generator:
    """Returns the stream of item ``index``.

    It is Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Seed and index are the key.
    The purpose is the counter's highest word, which no stream reaches by counting.
    """
    key = np.array([seed, index], dtype=np.uint64)
    counter = np.array([0, 0, 0, purpose], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def torch_seed(seed: int, purpose: Purpose, index: int) -> int:
    """Returns a seed in [0, 2**63) for a generator of torch: the first number of the stream."""
    return int(generator(seed, purpose, index).bit_generator.random_raw()) >> 1


def uniforms(
    seed: int, purpose: Purpose, index: int, items: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.float64]:
    """Returns numbers in [0, 1), (len(items), count), each a function of (seed, purpose, index, item, column) alone.

    For many items at once, for which a ``generator`` each would be slow. The mixing function is SplitMix64's (Steele,
    Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014), used as a hash of the counter.
    """
    with np.errstate(over="ignore"):
        stream = np.zeros(1, np.uint64)
        for part in (seed, purpose, index):
            stream = _mix((stream ^ np.uint64(part)) + _STEP)
        rows = _mix(stream ^ _mix(items.astype(np.uint64) + _STEP))
        cells = _mix(rows[:, None] + np.arange(1, count + 1, dtype=np.uint64)[None, :] * _STEP)
    return (cells >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))
