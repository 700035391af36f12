"""Images by index: the pixels of each view, from memory and from files."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from orchestrator.artifacts import dataset
from orchestrator.datasets import TEST, TRAIN, VALIDATION
from orchestrator.datasets.decoding import decode
from orchestrator.datasets.photos import FolderPhotos
from orchestrator.training.data.images import ImageFiles, Images, ResidentImages, load
from orchestrator.training.data.views import CLEAN, uniforms
from tests.artifacts.formats import about_data
from tests.training.examples import CPU

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]
SEED, SIZE = 9, 24
AUGMENTATIONS = ["none", "crop", "crop_flip"]
IMAGES = np.array([3, 0, 7, 7, 12])


def pixels(channels: int = 3, height: int = 17, width: int = 24) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (20, height, width, channels), dtype=np.uint8)


def resident(augmentation: str, channels: int = 3) -> ResidentImages:
    array = torch.from_numpy(pixels(channels))
    return ResidentImages(array, MEAN[:channels], STD[:channels], augmentation, SEED, CPU)


def reference(augmentation: str, channels: int, image: int, view: int) -> npt.NDArray[np.float64]:
    """A view (channels, height, width), pixel by pixel, from the image padded by reflection."""
    array = pixels(channels)[image]
    height, width, _ = array.shape
    up, left = height // 8, width // 8
    padded = np.pad(array, ((up, up), (left, left), (0, 0)), mode="reflect")
    y, x, mirror = uniforms(SEED, np.array([image]), max(view, 0), 3)[0]
    top, first = math.floor(y * (2 * up + 1)), math.floor(x * (2 * left + 1))
    if augmentation == "none" or view == CLEAN:
        top, first = up, left
    mirrored = augmentation == "crop_flip" and view != CLEAN and mirror < 0.5
    found = np.empty((channels, height, width))
    for channel in range(channels):
        for row in range(height):
            for column in range(width):
                source = width - 1 - column if mirrored else column
                value = padded[top + row, first + source, channel]
                found[channel, row, column] = (value / 255 - MEAN[channel]) / STD[channel]
    return found


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
class TestResidentImages:
    def test_views_are_those_of_a_slow_reference(self, augmentation: str, channels: int) -> None:
        numbers = [CLEAN, 0, 5]
        found = resident(augmentation, channels).views(IMAGES, numbers)
        assert found.shape == (3, 5, channels, 17, 24)
        assert found.dtype == torch.float32
        for view, number in zip(found.numpy(), numbers, strict=True):
            for image, one in zip(IMAGES, view, strict=True):
                np.testing.assert_allclose(one, reference(augmentation, channels, int(image), number), atol=1e-5)

    def test_the_clean_view_is_the_normalised_image(self, augmentation: str, channels: int) -> None:
        found = resident(augmentation, channels).views(IMAGES, [CLEAN])[0]
        normalised = (pixels(channels)[IMAGES] / 255 - MEAN[:channels]) / STD[:channels]
        np.testing.assert_allclose(found.permute(0, 2, 3, 1).numpy(), normalised, atol=1e-5)

    def test_a_view_is_the_same_from_any_batch(self, augmentation: str, channels: int) -> None:
        images = resident(augmentation, channels)
        assert_a_view_is_the_same_from_any_batch(images, 20)

    def test_a_batch_is_stored_as_channels_last(self, augmentation: str, channels: int) -> None:
        view = resident(augmentation, channels).views(IMAGES, [0])[0]
        assert view.is_contiguous(memory_format=torch.channels_last)


def assert_a_view_is_the_same_from_any_batch(images: Images, count: int) -> None:
    order = np.random.default_rng(1).permutation(count)
    numbers = [CLEAN, 0, 3]
    together = images.views(order, numbers)
    for place, image in enumerate(order):
        for which, number in enumerate(numbers):
            assert torch.equal(images.views(np.array([image]), [number])[0, 0], together[which, place])


def test_without_augmentation_every_view_is_clean() -> None:
    first, second, clean = resident("none").views(IMAGES, [0, 1, CLEAN])
    assert torch.equal(first, clean)
    assert torch.equal(second, clean)


def test_with_augmentation_two_views_differ() -> None:
    first, second = resident("crop").views(IMAGES, [0, 1])
    assert not torch.equal(first, second)


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    """Five photos of different sizes: three JPEGs, one of them grey, and a PNG with transparency."""
    generator = np.random.default_rng(0)
    paths = []
    for number, (mode, ending, size) in enumerate(
        [("RGB", "jpg", (40, 30)), ("RGB", "jpg", (24, 51)), ("L", "jpg", (33, 33)), ("RGBA", "png", (28, 64))]
    ):
        coarse = generator.integers(0, 256, (6, 6, 4), dtype=np.uint8)
        photo = Image.fromarray(coarse, "RGBA").resize(size, Image.Resampling.BICUBIC).convert(mode)
        paths.append(str(tmp_path / f"{number}.{ending}"))
        photo.save(paths[-1])
    return paths


def from_files(paths: list[str], augmentation: str = "resized_crop_flip") -> ImageFiles:
    return ImageFiles(FolderPhotos("", paths), SIZE, MEAN, STD, augmentation, SEED, CPU)


def test_photos_of_any_size_and_mode_have_views_of_one_shape(photos: list[str]) -> None:
    found = from_files(photos).views(np.arange(4), [CLEAN, 0, 1])
    assert found.shape == (3, 4, 3, SIZE, SIZE)
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()


def test_a_photos_view_is_the_same_from_any_batch(photos: list[str]) -> None:
    assert_a_view_is_the_same_from_any_batch(from_files(photos), len(photos))


def test_a_batch_of_photos_is_stored_as_channels_last(photos: list[str]) -> None:
    view = from_files(photos).views(np.arange(4), [CLEAN, 0])[1]
    assert view.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("source", ["memory", "files"])
def test_a_stream_is_the_views_of_each_request_in_turn(source: str, photos: list[str]) -> None:
    images: Images = resident("crop") if source == "memory" else from_files(photos)
    requests = [(np.array([3, 0]), [CLEAN]), (np.array([1]), [0, 1]), (np.array([2, 2, 3]), [5])]
    found = list(images.stream(requests))
    assert len(found) == len(requests)
    for views, request in zip(found, requests, strict=True):
        assert torch.equal(views, images.views(*request))


def test_a_photos_clean_view_is_its_normalised_centre(photos: list[str]) -> None:
    for number, path in enumerate(photos):
        photo = Image.fromarray(decode(path))
        edge = min(photo.size) * 0.875
        left, upper = (photo.width - edge) / 2, (photo.height - edge) / 2
        box = (left, upper, left + edge, upper + edge)
        centre = np.asarray(photo.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))
        found = from_files(photos).views(np.array([number]), [CLEAN])[0, 0]
        steps = (found.permute(1, 2, 0).numpy() * STD + MEAN) * 255 - centre
        assert np.abs(steps).max() < 1.01  # of 255; resizing rounds otherwise than Pillow does


def test_photos_without_augmentation_are_clean_in_every_view(photos: list[str]) -> None:
    clean, first = from_files(photos, "none").views(np.arange(4), [CLEAN, 0])
    assert torch.equal(clean, first)
    assert torch.equal(clean, from_files(photos).views(np.arange(4), [CLEAN])[0])


def test_two_views_of_photos_differ(photos: list[str]) -> None:
    first, second = from_files(photos).views(np.arange(4), [0, 1])
    assert not torch.equal(first, second)


def write_ingested(folder: Path, images: npt.NDArray[np.uint8] | list[str], white_level: float | None = None) -> None:
    """An ingest artifact of arrays, or of the files at some paths; image i has label i mod 3."""
    count = len(images)
    about = about_data(mean=tuple(MEAN), std=tuple(STD), image_size=SIZE, white_level=white_level)
    labels = np.arange(count) % 3
    subset = np.resize(np.array([TRAIN, TEST, TRAIN, VALIDATION], np.uint8), count)
    if isinstance(images, list):
        dataset.write_files(folder, dataclasses.replace(about, layout="files"), labels, subset, images)
    else:
        dataset.write_arrays(folder, about, labels, subset, images, None)


def test_an_ingested_set_of_arrays_opens(tmp_path: Path) -> None:
    write_ingested(tmp_path, pixels())
    data = load(tmp_path, root="", augmentation="crop", views_seed=SEED, device=CPU)
    assert data.labels.tolist() == [i % 3 for i in range(20)]
    assert (data.train[:3].tolist(), data.validation[:2].tolist(), data.test[:2].tolist()) == (
        [0, 2, 4],
        [3, 7],
        [1, 5],
    )
    assert data.classes == 3
    assert torch.equal(data.images.views(IMAGES, [2]), resident("crop").views(IMAGES, [2]))


def test_an_ingested_set_of_files_opens_relative_to_its_root(tmp_path: Path, photos: list[str]) -> None:
    write_ingested(tmp_path, [Path(path).name for path in photos])
    data = load(tmp_path, root=str(tmp_path), augmentation="resized_crop_flip", views_seed=SEED, device=CPU)
    everything = np.arange(len(photos))
    assert torch.equal(data.images.views(everything, [2]), from_files(photos).views(everything, [2]))


def test_files_are_read_with_the_white_level_that_they_were_ingested_with(tmp_path: Path) -> None:
    Image.fromarray(np.full((SIZE, SIZE), 4095, np.uint16)).save(tmp_path / "0.png")
    write_ingested(tmp_path, ["0.png"], white_level=4095)
    data = load(tmp_path, root=str(tmp_path), augmentation="none", views_seed=SEED, device=CPU, normalised=False)
    assert data.images.views(np.array([0]), [CLEAN]).min() == 1
