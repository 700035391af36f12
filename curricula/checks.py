"""Array types and argument checks shared by the other modules."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Two fractions closer than this are the same number: 3 / 5 must be 3 of 5 experts however it was computed.
FRACTION_TOLERANCE = 1e-9


def unknown_name(field: str, name: object, known: Iterable[str]) -> ValueError:
    """Returns the error for a name that is not registered, with the nearest known name and the list of all."""
    names = sorted(known)
    nearest = get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return ValueError(f"{field}: {name!r} is unknown.{hint} Known: {', '.join(names)}.")


def number(field: str, value: object) -> float:
    """Returns ``value`` as a float.

    Raises:
        ValueError: naming ``field``, for anything that is not a finite real number.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(float(value)):
        raise ValueError(f"{field}: {value!r} is not a finite number. Give a number.")
    return float(value)


def integers(field: str, values: npt.ArrayLike, length: int, limit: int | None = None) -> IntArray:
    """Returns ``values`` as int64 (length,).

    Raises:
        ValueError: naming ``field``, for another shape or type, and for a value that is not in [0, limit).
    """
    array = np.asarray(values)
    if array.shape != (length,):
        raise ValueError(f"{field}: shape {array.shape}, but there are {length} images. Give one integer an image.")
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{field}: type {array.dtype}. Give integers.")
    if limit is not None and length and (array.min() < 0 or array.max() >= limit):
        raise ValueError(f"{field}: values from {array.min()} to {array.max()}. Give values in [0, {limit - 1}].")
    return array.astype(np.int64)


def numbers(field: str, values: npt.ArrayLike) -> FloatArray:
    """Returns ``values`` as float64 (N,).

    Raises:
        ValueError: naming ``field``, unless they are one finite number an image.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{field}: shape {array.shape}. Give one number an image, shape (N,).")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise ValueError(
            f"{field}: {len(bad)} of {len(array)} values are not finite, the first at image {bad[0]}. "
            "Look for NaN or infinity in what they were made from."
        )
    return array
