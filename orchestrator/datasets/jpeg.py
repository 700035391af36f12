"""Plain JPEGs, which most photos are, by libjpeg-turbo itself: the very pixels that Pillow returns, sooner.

A JPEG is plain if it is grey or YCbCr with 8 bits a channel. It can be decoded at 1/2, 1/4 or 1/8 of its size, from
fewer coefficients of each 8 x 8 block. libjpeg-turbo knows the other eighths too, but has no vector code for them: on
x86 each takes longer than the next power of two above it (``benchmarks/photos.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray

REDUCTIONS = (8, 4, 2)
"""Divisors of width and height at which a JPEG can be decoded, besides 1."""

_START, _START_OF_SCAN = b"\xff\xd8\xff", 0xDA
_MAY_TURN = (b"Exif", b"tiff:Orientation")


@dataclass(frozen=True)
class PlainJpeg:
    """Content of a plain JPEG. ``width`` and ``height`` are those of the stored pixels, before any rotation.

    Attributes:
        may_turn: whether the metadata could hold an orientation.
    """

    content: bytes
    width: int
    height: int
    may_turn: bool

    def pixels(self, reduction: int = 1) -> NDArray[np.uint8] | None:
        """Returns uint8 (ceil(height / reduction), ceil(width / reduction), 3); None where anything is amiss.

        Pillow is the judge of what is amiss: it reads some damaged files, as it reads them.
        """
        rows, columns = -(-self.height // reduction), -(-self.width // reduction)
        try:
            found = simplejpeg.decode_jpeg(self.content, min_height=rows, min_width=columns)
        except (ValueError, RuntimeError):
            return None
        return found if found.shape == (rows, columns, 3) else None


def plain_jpeg(content: bytes, most_pixels: int | None) -> PlainJpeg | None:
    """Returns the JPEG, or None for content of another kind, or of more pixels than ``most_pixels``."""
    if not content.startswith(_START):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
    except (ValueError, RuntimeError):
        return None
    if colours not in ("YCbCr", "Gray") or (most_pixels is not None and height * width > most_pixels):
        return None
    metadata = _metadata(content)
    return PlainJpeg(content, int(width), int(height), any(mark in metadata for mark in _MAY_TURN))


def _metadata(content: bytes) -> bytes:
    """Returns the segments before the compressed data."""
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != _START_OF_SCAN:
        if content[place + 1] == 0xFF:  # a byte of padding
            place += 1
        else:
            place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return content[:place]
