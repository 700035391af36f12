"""Smaller copies of photos, for sets that are stored at the size that networks see."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from orchestrator.datasets.spec import SHRUNK_QUALITY


def shrunk(content: bytes, pixels: NDArray[np.uint8], shortest: int) -> bytes:
    """Returns a photo whose shorter side has at most ``shortest`` pixels, as a JPEG.

    A photo that is no larger is returned as it is. Of others the decoded pixels are resized by an antialiasing Lanczos
    filter, and lose their metadata: a rotation given there is applied already.

    Args:
        content: of the photo's file.
        pixels: its decoded pixels, (height, width, 3).
        shortest: of the new shorter side, in pixels.
    """
    from PIL import Image

    height, width, _ = pixels.shape
    scale = shortest / min(height, width)
    if scale >= 1:
        return content
    size = (max(shortest, round(width * scale)), max(shortest, round(height * scale)))
    target = io.BytesIO()
    small = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)
    small.save(target, "JPEG", quality=SHRUNK_QUALITY, subsampling=0)
    return target.getvalue()
