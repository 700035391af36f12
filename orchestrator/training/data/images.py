"""Images by index, as normalised float tensors: from one array in memory, or decoded from files as they are needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from orchestrator.artifacts import dataset
from orchestrator.artifacts.photos import PackedPhotos
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.datasets.photos import FolderPhotos, Photos
from orchestrator.datasets.spec import TEST, TRAIN, VALIDATION
from orchestrator.training.data.crops import Crops
from orchestrator.training.data.decoders import PIECE, Decoders, Pending
from orchestrator.training.data.views import crop_indices
from orchestrator.training.device import to_device

IntArray = npt.NDArray[np.int64]


Request = tuple[IntArray, Sequence[int]]
"""Images, and the numbers of the views of each."""


class Images(Protocol):
    """Source of views: float32 (views, images, channels, height, width), normalised, on the device."""

    def views(self, images: IntArray, numbers: Sequence[int]) -> Tensor:
        """Returns views of images: (len(numbers), len(images), channels, height, width)."""
        ...

    def stream(self, requests: Iterable[Request]) -> Generator[Tensor, None, None]:
        """Yields the views of each request in turn; those of coming requests are made ahead where that takes long.

        Several streams may be open at once.
        """
        ...

    def close(self) -> None:
        """End the processes that make views, if there are any."""
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

    def close(self) -> None:
        """End the processes that decode photos, if there are any."""
        self.images.close()


def load(
    folder: Path, *, root: str, augmentation: str, views_seed: int, device: torch.device, decoders: int = 0,
    normalised: bool = True,
) -> TrainingData:  # fmt: skip
    """Open the ingest artifact in ``folder``.

    Args:
        folder: of the artifact's files.
        root: the folder that an image_folder's paths are relative to.
        augmentation: of the views.
        views_seed: of the views.
        device: where views are returned.
        decoders: processes that decode photos; 0 decodes in this one.
        normalised: views less the mean and divided by the standard deviation; else they are pixels in [0, 1].
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

    def __init__(
        self, pixels: Tensor, mean: Sequence[float], std: Sequence[float], augmentation: str, seed: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.pixels, self.augmentation, self.seed, self.device = pixels, augmentation, seed, device
        _, self.height, self.width, self.channels = pixels.shape
        self.normalisation = Normalisation(mean, std, self.width, device)

    def views(self, images: IntArray, numbers: Sequence[int]) -> Tensor:
        if len(numbers) == 1:  # a training step's; stacking would copy it
            return self._view(images, numbers[0]).unsqueeze(0)
        return torch.stack([self._view(images, number) for number in numbers])

    def stream(self, requests: Iterable[Request]) -> Generator[Tensor, None, None]:
        return (self.views(*request) for request in requests)  # a gather in memory is not worth a thread

    def close(self) -> None:
        return None

    def _view(self, images: IntArray, number: int) -> Tensor:
        if self.augmentation == "none" or number < 0:
            pixels = self.pixels.index_select(0, to_device(images, self.device))
        else:
            rows, columns = crop_indices(
                self.seed, images, number, self.height, self.width, flip=self.augmentation == "crop_flip"
            )
            pixels = self._crops(images, rows, columns)
        return self.normalisation(pixels.view(len(images), self.height, self.width, self.channels))

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
    """Photos read by index from shared storage and decoded by some processes, or in this one."""

    def __init__(
        self, photos: Photos, size: int, mean: Sequence[float], std: Sequence[float], augmentation: str, seed: int,
        device: torch.device, decoders: int = 0, white_level: float | None = None,
    ) -> None:  # fmt: skip
        self.crops = Crops(photos, size, augmentation, seed, white_level)
        self.device, self.count = device, decoders
        self.normalisation = Normalisation(mean, std, size, device)
        self.decoders: Decoders | None = None

    def views(self, images: IntArray, numbers: Sequence[int]) -> Tensor:
        pixels, pending = self._begin(images, numbers)
        pending.wait()
        return self._normalised(pixels)

    def stream(self, requests: Iterable[Request]) -> Generator[Tensor, None, None]:
        if not self.count:
            yield from (self.views(*request) for request in requests)
            return
        coming, ahead = iter(requests), deque[tuple[Tensor, Pending]]()
        try:
            self._extend(ahead, coming)
            while ahead:
                pixels, pending = ahead.popleft()
                pending.wait()
                self._extend(ahead, coming)
                yield self._normalised(pixels)
        finally:
            for _, pending in ahead:
                pending.cancel()

    def _extend(self, ahead: deque[tuple[Tensor, Pending]], coming: Iterator[Request]) -> None:
        """Begin two batches, or more of them while small ones leave processes without work."""
        while len(ahead) < 2 or sum(pending.crops for _, pending in ahead) < 2 * PIECE * self.count:
            request = next(coming, None)
            if request is None:
                return
            ahead.append(self._begin(*request))

    def close(self) -> None:
        if self.decoders is not None:
            self.decoders.close()
            self.decoders = None

    def _begin(self, images: IntArray, numbers: Sequence[int]) -> tuple[Tensor, Pending]:
        shape = self.crops.shape(len(images), len(numbers))
        pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        if not self.count:
            self.crops.fill(pixels.numpy(), images, numbers)
            return pixels, Pending([], 0)
        if self.decoders is None:
            self.decoders = Decoders(self.crops, self.count)
        return pixels, self.decoders.begin(pixels.numpy(), images, numbers)

    def _normalised(self, pixels: Tensor) -> Tensor:
        views, images, *shape = pixels.shape
        flat = pixels.to(self.device, non_blocking=True).view(views * images, *shape)
        return self.normalisation(flat).unflatten(0, (views, images))


class Normalisation:
    """Conversion of pixels to a network's input: less the mean, divided by the standard deviation, both of [0, 1]."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], width: int, device: torch.device) -> None:
        # As whole rows: a broadcast over a last dimension of 3 is many times slower.
        self.scale = (1 / (255 * torch.tensor(std, device=device))).repeat(width)
        self.shift = (-torch.tensor(mean, device=device) / torch.tensor(std, device=device)).repeat(width)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Returns float32 (B, channels, height, width), in channels_last, of uint8 (B, height, width, channels)."""
        batch, height, width, channels = pixels.shape
        flat = torch.addcmul(self.shift, pixels.view(batch, height, width * channels).float(), self.scale)
        # NHWC storage seen as NCHW is what channels_last means: no copy.
        return flat.view(batch, height, width, channels).permute(0, 3, 1, 2)
