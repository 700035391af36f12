"""Counter-based random streams: each is a function of (seed, purpose, index) only."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """Purpose of a stream; two purposes never share numbers, even under one seed."""

    VALIDATION_CUT = 0
    TEST_SPLIT = 1
    SEVERITY = 2
    PROTOTYPE = 3
    SYNTHETIC_IMAGE = 4


def generator(seed: int, purpose: Purpose, index: int) -> np.random.Generator:
    """Returns the stream of item ``index``.

    It is Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Seed and index are the key.
    The purpose is the counter's highest word, which no stream reaches by counting.
    """
    key = np.array([seed, index], dtype=np.uint64)
    counter = np.array([0, 0, 0, purpose], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
