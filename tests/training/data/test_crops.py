"""Views of photos: crops as Pillow makes them, decoded at the size that they need."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from orchestrator.datasets.decoding import Photo
from orchestrator.training.data.crops import Crops, reduction_for, resized
from orchestrator.training.data.views import CLEAN, Box, crop_box
from tests.datasets.odd_images import ORIENTATION

SIZE, SEED = 32, 5
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Held:
    """Photos in memory."""

    contents: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.contents)

    def name(self, index: int) -> str:
        return f"{index}.jpg"

    def read(self, index: int) -> bytes:
        return self.contents[index]


def picture(width: int, height: int) -> Image.Image:
    """Soft shapes with some noise, as photos have."""
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int64)
    return Image.fromarray((smooth + random.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8))


def jpeg(width: int, height: int, orientation: int = 1) -> bytes:
    exif, stream = Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = orientation
    picture(width, height).save(stream, "JPEG", quality=95, exif=exif)
    return stream.getvalue()


def views(content: bytes, numbers: list[int], augmentation: str = "resized_crop_flip") -> Pixels:
    out = np.empty((len(numbers), 1, SIZE, SIZE, 3), np.uint8)
    Crops(Held((content,)), SIZE, augmentation, SEED).fill(out, np.array([0]), numbers)
    return out[:, 0]


def by_pillow(pixels: Pixels, box: Box, size: int = SIZE) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, box=box))


def largest_difference(found: Pixels, wanted: Pixels) -> int:
    return int(np.abs(found.astype(np.int64) - wanted).max())


@given(width=st.integers(1, 90), height=st.integers(1, 90), view=st.integers(-1, 2**40))
def test_any_box_of_any_image_is_resized_as_pillow_does(width: int, height: int, view: int) -> None:
    pixels = np.asarray(picture(width, height))
    box, _ = crop_box(SEED, 3, view, width, height)
    assert largest_difference(resized(pixels, box, SIZE), by_pillow(pixels, box)) <= 1


@pytest.mark.parametrize(
    ("width", "height", "reduction"),
    [
        (31, 900, 1),
        (63.9, 64, 1),
        (64, 64, 2),
        (127, 300, 2),
        (128, 128, 4),
        (255, 256, 4),
        (256, 256, 8),
        (5000, 5000, 8),
    ],
)
def test_the_reduction_leaves_the_box_no_smaller_than_the_view(width: float, height: float, reduction: int) -> None:
    assert reduction_for((10, 20, 10 + width, 20 + height), SIZE) == reduction


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("width", "height"), [(304, 400), (301, 403)])
def test_a_view_decoded_at_less_shows_the_same_part_of_the_photo(width: int, height: int, orientation: int) -> None:
    content = jpeg(width, height, orientation)
    whole = Photo(content, "x").pixels()
    for number, found in zip([CLEAN, 0, 1, 2], views(content, [CLEAN, 0, 1, 2]), strict=True):
        box, mirror = crop_box(SEED, 0, number, whole.shape[1], whole.shape[0])
        wanted = by_pillow(whole, box)[:, :: -1 if mirror else 1]
        assert np.abs(found.astype(np.int64) - wanted).mean() < 2


def test_a_views_pixels_do_not_depend_on_the_views_that_it_is_asked_for_with() -> None:
    content, numbers = jpeg(200, 300), [CLEAN, *range(12)]
    boxes = [crop_box(SEED, 0, number, 200, 300)[0] for number in numbers]
    assert len({reduction_for(box, SIZE) for box in boxes}) > 1
    for number, together in zip(numbers, views(content, numbers), strict=True):
        np.testing.assert_array_equal(views(content, [number])[0], together)


def test_without_augmentation_every_view_is_the_clean_one() -> None:
    content = jpeg(80, 60)
    for view in views(content, [CLEAN, 0, 7], "none"):
        np.testing.assert_array_equal(view, views(content, [CLEAN])[0])


def test_a_photo_that_only_pillow_reads_has_views_too(tmp_path: Path) -> None:
    content = jpeg(300, 300)
    middle = len(content) // 2
    damaged = content[:middle] + bytes(20) + content[middle + 20 :]  # libjpeg warns, and Pillow decodes what it can
    assert views(damaged, [0]).shape == (1, SIZE, SIZE, 3)
