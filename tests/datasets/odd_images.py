"""Image files of random mode, size, format and damage, with their expected pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[Any]
ORIENTATION = 274
LOSSLESS: dict[str, dict[str, Any]] = {
    "png": {}, "tif": {}, "bmp": {}, "ppm": {}, "gif": {}, "webp": {"lossless": True, "exact": True},
    "jp2": {"irreversible": False},
}  # fmt: skip
STORED = {
    "1": ("png", "tif", "bmp", "gif"),
    "L": ("png", "tif", "bmp", "ppm", "jp2", "gif"),
    "P": ("png", "tif", "bmp", "gif"),
    "RGB": ("png", "tif", "bmp", "ppm", "webp", "jp2"),
    "LA": ("png", "tif", "jp2"),
    "RGBA": ("png", "tif", "webp", "jp2"),
    "CMYK": ("tif",),
    "I;16": ("png", "tif", "jp2"),
    "I": ("tif",),
    "F": ("tif",),
}
"""Formats that keep every pixel, by the mode that is saved."""

WITH_EXIF = ("png", "tif", "webp")
DAMAGE = ("truncated", "changed bytes", "no bytes", "text")


@dataclass(frozen=True)
class Odd:
    """A file, and its RGB pixels as they should be read; None where the file should be refused."""

    path: Path
    expected: NDArray[np.uint8] | None
    damage: str | None = None


def make(seed: int, folder: Path, damaged: bool = True) -> Odd:
    """Write the file of that number into the folder."""
    draw = np.random.default_rng(seed)
    mode = str(draw.choice(list(STORED)))
    form = str(draw.choice(STORED[mode]))
    height, width = (int(edge) for edge in draw.choice([1, 2, 3, 7, 16, 33, 64], 2))
    pixels, expected = _pixels(draw, mode, height, width)
    image = Image.fromarray(pixels) if mode not in ("1", "P", "CMYK", "LA") else _image(mode, pixels)
    orientation = int(draw.integers(1, 9)) if form in WITH_EXIF and draw.random() < 0.5 else 1
    options = dict(LOSSLESS[form])
    if orientation != 1:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options["exif"] = exif
    path = folder / f"{seed:04d}-{mode.replace(';', '')}.{form}"
    image.save(path, **options)
    # Which value of 32-bit integers is white can't be known.
    upright = None if mode == "I" else np.ascontiguousarray(UPRIGHT[orientation](expected))
    damage = str(draw.choice(DAMAGE)) if damaged and draw.random() < 0.4 else None
    if damage:
        _damage(path, damage, draw)
    return Odd(path, upright, damage)


UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda it: it,
    2: lambda it: it[:, ::-1],
    3: lambda it: it[::-1, ::-1],
    4: lambda it: it[::-1],
    5: lambda it: it.swapaxes(0, 1),
    6: lambda it: np.rot90(it, -1),
    7: lambda it: it[::-1, ::-1].swapaxes(0, 1),
    8: lambda it: np.rot90(it),
}
"""EXIF's meaning of each orientation, row and column first."""


def scaled(values: Pixels, white: float) -> NDArray[np.uint8]:
    """Grey values as RGB: the nearest of 256 steps from black to white."""
    steps = np.floor(255 * np.clip(values.astype(np.float64) / white, 0, 1) + 0.5).astype(np.uint8)
    return np.repeat(steps[..., None], 3, axis=2)


def on_white(colour: Pixels, alpha: Pixels) -> NDArray[np.uint8]:
    """Colours (height, width, 3) seen through their alpha (height, width) on white paper."""
    share = alpha[..., None].astype(np.float64) / 255
    return np.floor(colour * share + 255 * (1 - share) + 0.5 + 1e-9).astype(np.uint8)


def _pixels(draw: np.random.Generator, mode: str, height: int, width: int) -> tuple[Pixels, NDArray[np.uint8]]:
    size = (height, width)
    if mode == "1":
        bits = draw.integers(0, 2, size).astype(bool)
        return bits, scaled(bits, 1)
    if mode == "P":
        index = draw.integers(0, 256, size, dtype=np.uint8)
        return index, _palette()[index]
    if mode == "I;16":
        deep = draw.integers(0, 65536, size).astype(np.uint16)
        return deep, scaled(deep, 65535)
    if mode == "I":
        return draw.integers(0, 2**31 - 1, size).astype(np.int32), scaled(np.zeros(size), 1)
    if mode == "F":
        share = draw.random(size, dtype=np.float32)
        return share, scaled(share, 1)
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    bytes_ = draw.integers(0, 256, (*size, channels), dtype=np.uint8)
    if mode == "L":
        return bytes_[..., 0], scaled(bytes_[..., 0], 255)
    if mode == "LA":
        return bytes_, on_white(np.repeat(bytes_[..., :1], 3, axis=2), bytes_[..., 1])
    if mode == "RGBA":
        return bytes_, on_white(bytes_[..., :3], bytes_[..., 3])
    if mode == "CMYK":
        return bytes_, np.asarray(_image(mode, bytes_).convert("RGB"))
    return bytes_, bytes_


def _palette() -> NDArray[np.uint8]:
    return np.random.default_rng(0).permutation(256 * 3).astype(np.uint8).reshape(256, 3)


def _image(mode: str, pixels: Pixels) -> Image.Image:
    if mode == "1":
        return Image.fromarray(pixels)
    if mode == "P":
        image = Image.fromarray(pixels, "L")
        image = Image.frombytes("P", image.size, pixels.tobytes())
        image.putpalette(_palette().tobytes())
        return image
    height, width = pixels.shape[:2]
    return Image.frombytes(mode, (width, height), pixels.tobytes())


def _damage(path: Path, kind: str, draw: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    if kind == "truncated":
        content = content[: int(draw.random() * len(content))]
    elif kind == "changed bytes":
        for place in draw.integers(0, len(content), 8):
            content[place] = int(draw.integers(0, 256))
    elif kind == "no bytes":
        content = bytearray()
    else:
        content = bytearray(b"not found\n")
    path.write_bytes(content)
