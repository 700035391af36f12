"""Decoder of image files to 8-bit RGB.

Training, scoring, evaluation, export and the report's examples all read photos through ``Photo``. Plain JPEGs are
decoded by libjpeg-turbo (``jpeg.py``), everything else by Pillow.

- The rotation in the metadata (EXIF) is applied, so that photos are upright.
- Transparent pixels are composited on white, the usual background of cut-out pictures and scans. The colour channels
  behind them are arbitrary.
- Grey images of more than 8 bits are scaled: 0 is black; white is the largest value of 16-bit (and 12-bit) integers,
  1 for floats, or ``white_level``. 32-bit integers have no usual white and are refused without a ``white_level``.
- Colour of 16 bits a channel is reduced to its upper 8 bits, which is all that Pillow reads.
- Of several frames or pages the first is read. Colour profiles are not applied.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from orchestrator.datasets.jpeg import PlainJpeg, plain_jpeg
from orchestrator.datasets.spec import DatasetError

if TYPE_CHECKING:
    from PIL import Image

VERSION = 3
"""Increased when the pixels of any file, or of any view of it, change; part of the fingerprint of a set of photos."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF")
"""Formats that are recognised, by content, not by the file's name."""

CONVERTED = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr")
TRANSPARENT = ("LA", "PA", "RGBA", "La", "RGBa")
FLOAT_WHITE = 1.0

_ORIENTATION, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 274, 258, 262, 339  # numbers of EXIF and TIFF tags
_WHITE_IS_ZERO, _SIGNED = 0, 2


class BrokenImageError(DatasetError):
    """Raised for a file that can't be read as an image. ``reason`` is the cause without path and advice."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(
            f"{os.fspath(path)}: not a usable image ({reason}); replace it, remove it, or set dataset.skip_broken: true"
        )
        self.path, self.reason = os.fspath(path), reason

    def __reduce__(self) -> tuple[type[BrokenImageError], tuple[str, str]]:
        return type(self), (self.path, self.reason)


class _RefusedError(ValueError):
    """Raised for a valid image whose range of values is not known, so that it can't be converted to 8 bits."""


def decode(path: str | os.PathLike[str], white_level: float | None = None) -> NDArray[np.uint8]:
    """Returns the image in a file; see ``decode_content``.

    Raises:
        BrokenImageError: also when the file can't be read.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise BrokenImageError(path, error.strerror or str(error)) from error
    return decode_content(content, path, white_level)


def decode_content(
    content: bytes, name: str | os.PathLike[str], white_level: float | None = None
) -> NDArray[np.uint8]:  # fmt: skip
    """Returns the image as uint8 (height, width, 3), RGB, upright.

    Args:
        content: of the file.
        name: the file's, for messages.
        white_level: the value that is white in grey images of more than 8 bits; larger ones are white too.

    Raises:
        BrokenImageError: when the file is damaged, is no image, or has pixels of an unsupported type.
    """
    return Photo(content, name, white_level).pixels()


class Photo:
    """One encoded photo: its size, and its pixels, at full size or at less.

    Arguments and errors are those of ``decode_content``.

    Attributes:
        width: of the upright photo, in pixels.
        height: likewise.
    """

    def __init__(self, content: bytes, name: str | os.PathLike[str], white_level: float | None = None) -> None:
        from PIL import Image

        self._content, self._name, self._white_level = content, name, white_level
        self._jpeg = plain_jpeg(content, Image.MAX_IMAGE_PIXELS)
        self._pixels: dict[int, NDArray[np.uint8]] = {}
        self._orientation = 1
        if self._jpeg is None:
            self._pixels[1] = self._decoded_by_pillow()
            self.height, self.width, _ = self._pixels[1].shape
            return
        self.width, self.height = self._jpeg.width, self._jpeg.height
        if self._jpeg.may_turn:
            self._orientation = _orientation_of(content)
            if self._orientation in _SIDEWAYS:
                self.width, self.height = self.height, self.width

    def pixels(self) -> NDArray[np.uint8]:
        """Returns uint8 (height, width, 3)."""
        return self.reduced(1)[0]

    def reduced(self, reduction: int) -> tuple[NDArray[np.uint8], int]:
        """Returns the pixels at a divisor of width and height, as uint8 (ceil(height / it), ceil(width / it), 3).

        The second value is that divisor: ``reduction``, of ``jpeg.REDUCTIONS``, or 1 for a file that can't be decoded
        at less than its full size.
        """
        if self._orientation != 1 and (self.width % reduction or self.height % reduction):
            reduction = 1  # the last row or column covers less of the photo, and would be turned to the front
        if reduction not in self._pixels and self._jpeg is not None:
            self._decode_jpeg(self._jpeg, reduction)
        return (self._pixels[reduction], reduction) if reduction in self._pixels else (self._pixels[1], 1)

    def _decode_jpeg(self, content: PlainJpeg, reduction: int) -> None:
        pixels = content.pixels(reduction)
        if pixels is not None:
            self._pixels[reduction] = _turned(pixels, self._orientation)
        else:
            self._jpeg = None
            self._pixels[1] = self._decoded_by_pillow()

    def _decoded_by_pillow(self) -> NDArray[np.uint8]:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(self._content), formats=FORMATS) as image:
                raw = _raw_mode(image)  # forgotten once the pixels are loaded
                image.load()  # ``open`` reads the header alone; a truncated file fails here
                return _turned(np.array(_rgb(image, raw, self._white_level)), _orientation(image))
        except MemoryError:  # of this machine, not of the file
            raise
        except UnidentifiedImageError as error:
            raise BrokenImageError(self._name, _kind_of(self._content[:64])) from error
        except Exception as error:  # Pillow's decoders raise many kinds on damaged files
            raise BrokenImageError(self._name, str(error) or type(error).__name__) from error


def _kind_of(start: bytes) -> str:
    """Returns a description of a file that Pillow can't identify, from its first bytes."""
    if not start:
        return "the file is empty"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the image itself: run git lfs pull"
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"msf1"):
        return "a HEIC image; convert it to JPEG"
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "a TIFF that is damaged, or has an unsupported type of pixels, such as 64-bit or 16-bit floats"
    return f"no image of a known format: {', '.join(FORMATS)}"


def _rgb(image: Image.Image, raw: str, white_level: float | None) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        return _eight_bits(image, white_level)
    if image.mode not in CONVERTED + TRANSPARENT:
        raise _RefusedError(f"pixels of mode {image.mode}; convert it to RGB")
    tags = getattr(image, "tag_v2", {})
    if image.mode == "L" and _first(tags.get(_SAMPLE_FORMAT)) == _SIGNED:
        raise _RefusedError("signed 8-bit integers; convert it to unsigned ones")
    wide = ";16" in raw
    if wide and white_level is not None:
        raise _RefusedError("16-bit colour, of which only the upper 8 bits are read: dataset.white_level can't apply")
    if image.mode in CONVERTED and "transparency" in image.info:
        if wide:
            raise _RefusedError("16-bit colour with one colour declared transparent; convert it to 8 bits")
        # PNG declares a transparent grey in the file's own depth, Pillow's pixels have 8 bits.
        image.info["transparency"] = _in_eight_bits(image.info["transparency"], raw)
    elif image.mode not in TRANSPARENT:
        return image.convert("RGB")
    return _on_white(image)


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode in ("La", "RGBa"):  # premultiplied
        image = image.convert(image.mode.upper())
    canvas = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB")


def _eight_bits(image: Image.Image, white_level: float | None) -> Image.Image:
    """A grey image of more than 8 bits, scaled to RGB of 8 bits: round(255 * value / white)."""
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    tags = getattr(image, "tag_v2", {})
    lowest, highest = values.min(), values.max()
    if not np.isfinite(values).all():
        raise _RefusedError("floats that are not finite")
    if image.mode == "F":
        if white_level is None and not 0 <= lowest <= highest <= FLOAT_WHITE:
            raise _RefusedError(
                f"floats from {lowest:g} to {highest:g}, where 0 is black and {FLOAT_WHITE:g} white; "
                "dataset.white_level sets another white"
            )
        white = white_level or FLOAT_WHITE
    else:
        if image.mode == "I" and image.format != "PPM" and white_level is None:  # Pillow scales PGM's to 16 bits
            raise _RefusedError(
                f"32-bit or signed integers from {lowest:g} to {highest:g}; set dataset.white_level to the value that "
                "is white"
            )
        if lowest < 0:
            raise _RefusedError(f"integers from {lowest:g} to {highest:g}, where 0 is black")
        bits = _first(tags.get(_BITS)) or 16
        white = white_level or (4095 if bits == 12 else 65535)
    if _first(tags.get(_PHOTOMETRIC)) == _WHITE_IS_ZERO:  # which Pillow undoes for 8 bits and less alone
        values = white - values
    grey = np.floor(255 * (values / white).clip(0, 1) + 0.5).astype(np.uint8)
    if "transparency" in image.info:
        grey[np.asarray(image) == image.info["transparency"]] = 255
    return Image.fromarray(grey).convert("RGB")


_TURNS: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}
_SIDEWAYS = (5, 6, 7, 8)


def _turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Returns the pixels upright, by the orientation in the metadata (rows and columns first)."""
    return np.ascontiguousarray(_TURNS[orientation](pixels)) if orientation in _TURNS else pixels


def _orientation_of(content: bytes) -> int:
    """Returns the orientation in a JPEG's metadata as Pillow reads it."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            return _orientation(image)
    except Exception:  # Pillow will say so where it is asked for the pixels
        return 1


def _orientation(image: Image.Image) -> int:
    """The orientation in the metadata; 1, upright, where there is none or the metadata can't be read."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # pixels may be intact where metadata are damaged
        return 1
    return found if isinstance(found, int) else 1


def _raw_mode(image: Image.Image) -> str:
    """Returns Pillow's name of the pixel layout in the file (``RGB;16B``); empty if the decoder has none."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _in_eight_bits(transparent: object, raw: str) -> object:
    return transparent * {"L;2": 85, "L;4": 17}.get(raw, 1) if isinstance(transparent, int) else transparent


def _first(tag: object) -> int | None:
    value = tag[0] if isinstance(tag, tuple) and tag else tag
    return value if isinstance(value, int) else None
