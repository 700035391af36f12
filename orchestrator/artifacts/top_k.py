"""Logits shortened to the k largest of each row, and one number for the rest.

A student is taught by the softened distribution softmax(z / T), at a temperature T that a search may choose after the
logits were stored. So logits are stored, not probabilities, and the other classes are given one logit in common:

    r = T0 log(mean of exp(z_j / T0) over the classes j that are not stored), T0 = 4

From the k logits and r the softened distribution at any T is

    p_i = exp(z_i / T) / Z of a stored class, exp(r / T) / Z of each other, Z = sum of exp(z_i / T) + (C - k) exp(r / T)

so the mass that the k classes leave is spread evenly over the others. That mass is exact at T = T0, too small at a
lower T and too large at a higher one; T0 is the temperature that recipes have by default, and lies between the bounds
that a search has. Most of the divergence KL(whole || shortened) comes from spreading evenly. Of a plain CNN trained on
100 classes and k = 10 it was above that of an exact mass by 8 % at T = 2, nothing at 4 and 1 % at 8, and by 59 % at
T = 1, where it is next to nothing (0.01 nats). With T0 = 1, the log-sum-exp of the rest, it was 16, 27 and 23 % at T =
2, 4 and 8; with the mean of the rest (T0 infinite) 38, 10 and 2 %.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

REST_TEMPERATURE = 4.0  # T0

Records = npt.NDArray[np.void]


def record_type(classes: int, k: int) -> np.dtype[np.void]:
    """Returns the type of a shortened row: 4 k + 2 bytes, for up to 65,536 classes.

    ``logits`` are the k largest, fp16, in no order; ``classes`` are theirs; ``rest`` is r, fp16.
    """
    number = np.uint16 if classes <= 1 << 16 else np.uint32
    return np.dtype([("logits", np.float16, (k,)), ("classes", number, (k,)), ("rest", np.float16)])


def shorten(logits: npt.NDArray[np.floating[Any]], k: int) -> Records:
    """Returns the record of each row: (..., C) with C above k -> (...).

    A logit that fp16 can't hold becomes infinite there.
    """
    classes = logits.shape[-1]
    order = np.argpartition(logits, classes - k, axis=-1)
    rest = np.take_along_axis(logits, order[..., : classes - k], axis=-1).astype(np.float32)
    largest = rest.max(axis=-1, keepdims=True)
    mean = np.exp((rest - largest) / REST_TEMPERATURE).mean(axis=-1)
    records = np.empty(logits.shape[:-1], record_type(classes, k))
    records["classes"] = kept = order[..., classes - k :]
    with np.errstate(over="ignore"):
        records["logits"] = np.take_along_axis(logits, kept, axis=-1)
        records["rest"] = largest[..., 0] + REST_TEMPERATURE * np.log(mean)
    return records


def expand(records: Records, classes: int) -> npt.NDArray[np.float16]:
    """Returns logits (..., classes) from records (...): those of the stored classes, and ``rest`` for all others."""
    logits = np.repeat(records["rest"][..., None], classes, axis=-1)
    np.put_along_axis(logits, records["classes"].astype(np.int64), records["logits"], axis=-1)
    return logits
