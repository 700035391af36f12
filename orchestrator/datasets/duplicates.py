"""Images of the same content inside a set, and images of a single colour.

Two images are the same if the SHA-256 of their encoded files are, or of their pixels in a set of arrays. A photo that
was encoded again is not found.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.datasets.spec import TEST

DIGEST_BYTES = 16  # of SHA-256: two of a billion different images agree with a probability of 1e-21
EXAMPLES = 3  # pairs that are named


@dataclass(frozen=True)
class Duplicates:
    """Images whose content another image has; test images on the one side, training and validation on the other.

    Attributes:
        repeated: images whose content an earlier image of the same side has.
        leaked: test images whose content is on the other side too.
        repeated_pairs, leaked_pairs: numbers of the first such images, each with that of the other image.
    """

    repeated: int
    leaked: int
    repeated_pairs: tuple[tuple[int, int], ...]
    leaked_pairs: tuple[tuple[int, int], ...]


def digest(content: bytes | memoryview) -> bytes:
    """Returns the digest of an image's content, ``DIGEST_BYTES`` long."""
    return hashlib.sha256(content).digest()[:DIGEST_BYTES]


def find_duplicates(digests: bytes, subset: NDArray[np.uint8]) -> Duplicates:
    """Returns the duplicates among N images.

    Args:
        digests: those of all images one after another, N * DIGEST_BYTES bytes.
        subset: part of the set that each image belongs to, (N,).
    """
    found = np.frombuffer(digests, f"S{DIGEST_BYTES}")  # numpy leaves trailing zeros out, of all alike
    _, content = np.unique(found, return_inverse=True)  # (N,), equal where the content is
    test = subset == TEST
    repeated, first = _repeated(2 * content + test)
    leaked, original = _leaked(content, test)
    return Duplicates(
        repeated=len(repeated),
        leaked=len(leaked),
        repeated_pairs=_pairs(repeated, first),
        leaked_pairs=_pairs(leaked, original),
    )


def is_blank(pixels: NDArray[np.uint8]) -> bool:
    """Returns whether an image, (height, width, channels), is of a single colour."""
    return bool((pixels[0] == pixels[0, 0]).all() and (pixels == pixels[0, 0]).all())


def _repeated(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the places whose key an earlier place has, in order, and the first place of each one's key."""
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[group] != np.arange(len(keys)))
    return again, first[group[again]]


def _leaked(content: NDArray[np.int64], test: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the test images whose content is on the other side too, and the first image of it there."""
    places = np.flatnonzero(~test)
    known, first = np.unique(content[places], return_index=True)
    found = np.flatnonzero(test)
    leaked = found[np.isin(content[found], known)]
    return leaked, places[first[np.searchsorted(known, content[leaked])]]


def _pairs(images: NDArray[np.int64], others: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    return tuple(zip(images[:EXAMPLES].tolist(), others[:EXAMPLES].tolist(), strict=True))
