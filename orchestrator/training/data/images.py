"""Images by index, as normalised float tensors: from one array in memory, or decoded from files as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from orchestrator.artifacts import dataset
from orchestrator.artifacts.photos import PackedPhotos
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.datasets.decoding import decode_content
from orchestrator.datasets.photos import FolderPhotos, Photos
from orchestrator.datasets.spec import TEST, TRAIN, VALIDATION
from orchestrator.training.data.views import crop_box, crop_indices
from orchestrator.training.device import to_device

IntArray = npt.NDArray[np.int64]


class Images(Protocol):
    """Source of views. ``prefetch``: whether making them is slow enough to be worth a thread beside training."""

    prefetch: bool

    def views(self, images: IntArray, numbers: Sequence[int]) -> Tensor:
        """Views of images: float32 (len(numbers), len(images), channels, height, width), normalised, on the device."""
        ...


@dataclass(frozen=True)
class TrainingData:
    """A data set as a network is trained on it. Index arrays point into ``images`` and ``labels``."""

    images: Images
    labels: Tensor  # int64 (N,), on the device
    train: IntArray
    validation: IntArray
    test: IntArray
    classes: int


def load(
    folder: Path, *, root: str, augmentation: str, views_seed: int, device: torch.device, decoders: int = 2,
    normalised: bool = True,
) -> TrainingData:  # fmt: skip
    """Open the ingest artifact in ``folder``. ``root`` is the folder that an image_folder's paths are relative to.

    ``normalised``: views less the mean and divided by the standard deviation; else they are pixels in [0, 1].
    """
    files = FolderFiles(folder)
    about, subset = dataset.read_about(files), dataset.read_subset(files)
    mean, std = about.mean, about.std
    if not normalised:
        mean, std = (0.0,) * len(mean), (1.0,) * len(std)
    images: Images
    if about.layout == "arrays":
        pixels = torch.from_numpy(dataset.read_images(files))
        if device.type != "cpu":
            pixels = pixels.to(device)
        images = ResidentImages(pixels, mean, std, augmentation, views_seed, device)
    else:
        packed = about.layout == "packed"
        photos: Photos = PackedPhotos(files) if packed else _photos_in_place(root, files)
        images = ImageFiles(
            photos, about.image_size, mean, std, augmentation, views_seed,
            device, decoders, about.white_level,
        )  # fmt: skip
    return TrainingData(
        images=images,
        labels=to_device(dataset.read_labels(files), device),
        train=np.flatnonzero(subset == TRAIN),
        validation=np.flatnonzero(subset == VALIDATION),
        test=np.flatnonzero(subset == TEST),
        classes=about.classes,
    )


def _photos_in_place(root: str, files: FolderFiles) -> FolderPhotos:
    return FolderPhotos(root, dataset.read_paths(files), dataset.read_sizes(files))


class ResidentImages:
    """A whole data set as one uint8 array (N, height, width, channels) on the device."""

    prefetch = False

    def __init__(
        self, pixels: Tensor, mean: Sequence[float], std: Sequence[float], augmentation: str, seed: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.pixels, self.augmentation, self.seed, self.device = pixels, augmentation, seed, device
        _, self.height, self.width, self.channels = pixels.shape
        # As whole rows: a broadcast over a last dimension of 3 is many times slower.
        self.scale = (1 / (255 * torch.tensor(std, device=device))).repeat(self.width)
        self.shift = (-torch.tensor(mean, device=device) / torch.tensor(std, device=device)).repeat(self.width)

    def views(self, images: IntArray, numbers: Sequence[int]) -> Tensor:
        if len(numbers) == 1:  # a training step's; stacking would copy it
            return self._view(images, numbers[0]).unsqueeze(0)
        return torch.stack([self._view(images, number) for number in numbers])

    def _view(self, images: IntArray, number: int) -> Tensor:
        if self.augmentation == "none" or number < 0:
            pixels = self.pixels.index_select(0, to_device(images, self.device))
        else:
            rows, columns = crop_indices(
                self.seed, images, number, self.height, self.width, flip=self.augmentation == "crop_flip"
            )
            pixels = self._crops(images, rows, columns)
        flat = pixels.view(len(images), self.height, self.width * self.channels).float()
        flat = torch.addcmul(self.shift, flat, self.scale)
        # NHWC storage seen as NCHW is what channels_last means: no copy.
        return flat.view(len(images), self.height, self.width, self.channels).permute(0, 3, 1, 2)

    def _crops(self, images: IntArray, rows: IntArray, columns: IntArray) -> Tensor:
        """Image i's pixels at its rows (B, height) and columns (B, width): uint8 (B, height, width * channels).

        Whole rows first, then columns within them: a quarter of the time that indexing pixel by pixel takes.
        """
        every = to_device(images[:, None] * self.height + rows, self.device).view(-1)
        kept = self.pixels.view(-1, self.width * self.channels).index_select(0, every)
        within = (columns[:, :, None] * self.channels + np.arange(self.channels)).reshape(len(images), 1, -1)
        index = to_device(within, self.device).expand(-1, self.height, -1)
        return kept.view(len(images), self.height, -1).gather(2, index)


class ImageFiles:
    """Photos read by index from shared storage and decoded by a few threads (Pillow decodes outside the lock)."""

    prefetch = True

    def __init__(
        self, photos: Photos, size: int, mean: Sequence[float], std: Sequence[float], augmentation: str, seed: int,
        device: torch.device, decoders: int, white_level: float | None = None,
    ) -> None:  # fmt: skip
        self.white_level = white_level
        self.photos, self.size, self.augmentation, self.seed, self.device = photos, size, augmentation, seed, device
        self.mean = torch.tensor(mean, device=device).view(1, 1, 3, 1, 1)
        self.std = torch.tensor(std, device=device).view(1, 1, 3, 1, 1)
        self.pool = ThreadPoolExecutor(max_workers=decoders)

    def views(self, images: IntArray, numbers: Sequence[int]) -> Tensor:
        crops = np.stack(list(self.pool.map(lambda image: self._crops(int(image), numbers), images)), axis=1)
        pixels = to_device(crops, self.device).permute(0, 1, 4, 2, 3).float() / 255
        return (pixels - self.mean) / self.std

    def _crops(self, image: int, numbers: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Views of one photo, decoded once: (len(numbers), size, size, 3)."""
        photo = Image.fromarray(decode_content(self.photos.read(image), self.photos.name(image), self.white_level))
        crops = []
        for number in numbers:
            chosen = -1 if self.augmentation == "none" else number
            box, mirror = crop_box(self.seed, image, chosen, photo.width, photo.height)
            crop = photo.resize((self.size, self.size), Image.Resampling.BILINEAR, box=box)
            crops.append(np.asarray(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else crop))
        return np.stack(crops)
