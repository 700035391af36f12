"""ingest: conversion of a data set to canonical arrays, packed photos or a list of files, with every image checked.

The artifact's files are those of ``artifacts/dataset.py``. No process holds a whole set: arrays are taken in blocks, of
a loaded set that may be a memory map, and photos in parts (``ingest_photos.py``).
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from orchestrator import datasets
from orchestrator.artifacts import dataset
from orchestrator.artifacts.dataset import Counts, DatasetAbout
from orchestrator.artifacts.store import Artifact
from orchestrator.datasets import TEST, TRAIN, VALIDATION, ArrayImages, DatasetInfo, DatasetRecipe, FileImages
from orchestrator.datasets.label_noise import with_label_noise
from orchestrator.datasets.manifests import Manifests
from orchestrator.datasets.photos import FolderPhotos
from orchestrator.datasets.spec import IMAGENET_MEAN, IMAGENET_STD
from orchestrator.stages.errors import StageError
from orchestrator.stages.ingest_photos import Packing, Part, contents_of, take_photos
from orchestrator.stages.job import Job
from orchestrator.stages.odd_images import Contents, odd_images

BLOCK_BYTES = 32 << 20  # of images of arrays that are looked at together
COUNTED = 1 << 18  # pixels that are counted at once; numpy widens them to 64 bits
SHOWN = 20  # broken images named in full


def run(job: Job) -> Artifact:
    """Check the data set and commit the artifact.

    Raises:
        StageError: with the list of broken images, unless ``dataset.skip_broken`` is set and leaves enough images; for
            data that are no longer those that the run was planned with; for photos that are all nearly black.
    """
    start = time.time()
    # Absolute: this process may work in another folder than the command that was given.
    assert job.facts.dataset is not None, "an ingest without a data set"
    recipe = job.facts.dataset.model_copy(update={"root": job.dataset_root})
    job.say(doing="reading")
    try:
        manifests = Manifests(job.store, keep=False)  # made by the command, on its node
        info, loaded = datasets.describe(recipe, manifests), datasets.load(recipe, manifests)
        if info.fingerprint != job.spec["fingerprint"]:
            raise StageError(
                f"dataset: {recipe.name} is no longer what it was when the run was planned; start the run again, and "
                "if that does not help look for what makes the data differ from one reading or node to the next"
            )
        job.say(doing=f"checking {len(loaded.labels):,} images")
        try:
            parts = (
                take_photos(loaded, recipe.white_level, _packing(job, recipe)) if isinstance(loaded, FileImages) else []
            )
            with job.store.scratch() as scratch:
                about = write(scratch, loaded, info, recipe, parts)
                placed = {name: record for part in parts for name, record in part.placed.items()}
                results = {name: dataclasses.asdict(about)[name] for name in ("counts", "classes", "odd_images")}
                return job.commit(scratch, start, results, placed=placed)
        except (StageError, datasets.DatasetError):
            if recipe.packed:
                job.store.remove_folder("artifacts", job.identity)  # shards that no record will name
            raise
    except datasets.DatasetError as error:
        raise StageError(str(error)) from None


def _packing(job: Job, recipe: DatasetRecipe) -> Packing | None:
    if not recipe.packed:
        return None
    job.store.begin(job.identity)
    return Packing(job.storage, job.identity, recipe.shrink)


def write(
    folder: Path, loaded: ArrayImages | FileImages, info: DatasetInfo, recipe: DatasetRecipe, parts: Sequence[Part]
) -> DatasetAbout:  # fmt: skip
    """Write the artifact's files, but for shards; returns the description of the valid images.

    Args:
        folder: takes the files.
        loaded, info, recipe: the set.
        parts: all of a set of photos, once they were taken.

    Raises:
        StageError: for broken images that may not be left out.
    """
    if isinstance(loaded, ArrayImages):
        return _write_arrays(folder, loaded, info, recipe)
    broken = [found for part in parts for found in part.broken]
    keep = _kept(loaded, broken, recipe)
    labels, subset = _labels(loaded, keep, info, recipe), loaded.subset[keep]
    odd = odd_images(contents_of(parts), np.flatnonzero(keep), subset, loaded.photos.name)
    about = dataclasses.replace(
        _about(loaded, keep, labels, info, broken), white_level=recipe.white_level, odd_images=odd
    )  # fmt: skip
    if recipe.packed:
        about = dataclasses.replace(about, layout="packed")
        dataset.write_packed(folder, about, labels, subset, (shard for part in parts for shard in part.shards))
        return about
    assert isinstance(loaded.photos, FolderPhotos), "photos that lie in no folder can't be read in place"
    paths = (path for path, kept in zip(loaded.photos.paths, keep, strict=True) if kept)
    sizes = None if loaded.photos.sizes is None else loaded.photos.sizes[keep]
    dataset.write_files(folder, about, labels, subset, paths, sizes)
    return about


def _write_arrays(folder: Path, loaded: ArrayImages, info: DatasetInfo, recipe: DatasetRecipe) -> DatasetAbout:
    """Write the files of a set of arrays, block by block; returns its description."""
    channels, height, width = info.image_shape
    rows = block_rows(info.image_shape)
    blocks = [slice(start, start + rows) for start in range(0, len(loaded.labels), rows)]
    broken = [
        (index + block.start, reason)
        for block in blocks
        for index, reason in datasets.check_arrays(
            loaded.images[block], loaded.labels[block], info.classes, (channels, height, width)
        )
    ]
    keep = _kept(loaded, broken, recipe)

    def images() -> Iterator[npt.NDArray[np.uint8]]:
        for block in blocks:
            yield loaded.images[block] if keep[block].all() else loaded.images[block][keep[block]]

    labels, subset = _labels(loaded, keep, info, recipe), loaded.subset[keep]
    sums, digest, contents, numbers = PixelSums(channels), hashlib.sha256(), Contents(), np.flatnonzero(keep)
    for place, block in zip(blocks, images(), strict=True):
        digest.update(np.ascontiguousarray(block).data)
        sums.add(block[loaded.subset[place][keep[place]] == TRAIN])
        for number, image in zip(np.flatnonzero(keep[place]) + place.start, block, strict=True):
            contents.add(int(number), np.ascontiguousarray(image).data, image)
    digest.update(labels.astype(np.int64).data)
    about = dataclasses.replace(
        _about(loaded, keep, labels, info, broken), layout="arrays", mean=sums.mean(), std=sums.std(),
        content=digest.hexdigest(), odd_images=odd_images(contents, numbers, subset, partial(_name, loaded)),
    )  # fmt: skip
    severity = None if loaded.severity is None else loaded.severity[keep]
    dataset.write_arrays(folder, about, labels, subset, images(), severity)
    return about


def _kept(
    loaded: ArrayImages | FileImages, broken: Sequence[tuple[int, str]], recipe: DatasetRecipe
) -> npt.NDArray[np.bool_]:
    """Returns which images are kept, (N,): all but broken ones.

    Raises:
        StageError: for broken ones that may not be left out.
    """
    keep = np.ones(len(loaded.labels), bool)
    if broken:
        if not recipe.skip_broken:
            raise StageError(_broken_message(loaded, broken))
        keep[[index for index, _ in broken]] = False
        lost = datasets.emptied(loaded.labels, loaded.subset, keep, loaded.class_names)
        if lost:
            raise StageError(_emptied_message(loaded, broken, lost))
    return keep


def _labels(
    loaded: ArrayImages | FileImages, keep: npt.NDArray[np.bool_], info: DatasetInfo, recipe: DatasetRecipe
) -> npt.NDArray[np.int64]:
    """Returns the labels of the valid images, (kept,), with the recipe's label noise."""
    clean, subset = loaded.labels[keep], loaded.subset[keep]
    return with_label_noise(clean, subset, recipe.label_noise, info.classes, recipe.seed)


def _about(
    loaded: ArrayImages | FileImages, keep: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64], info: DatasetInfo,
    broken: Sequence[tuple[int, str]],
) -> DatasetAbout:  # fmt: skip
    """Returns the description of the valid images, as photos that are read in place."""
    subset = loaded.subset[keep]
    return DatasetAbout(
        classes=info.classes,
        class_names=tuple(loaded.class_names),
        image_shape=tuple(info.image_shape),
        image_size=info.image_shape[1],
        counts=Counts(
            train=int((subset == TRAIN).sum()),
            validation=int((subset == VALIDATION).sum()),
            test=int((subset == TEST).sum()),
            skipped=len(broken),
            wrong_labels=int((labels != loaded.labels[keep]).sum()),
        ),
        broken=tuple((_name(loaded, index), reason) for index, reason in broken),
        layout="files",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )


def block_rows(image_shape: Sequence[int]) -> int:
    """Returns the number of images of a block of arrays."""
    return max(1, BLOCK_BYTES // math.prod(image_shape))


class PixelSums:
    """Sums of pixels and of their squares by channel, for mean and standard deviation of pixels in [0, 1].

    Sums of whole numbers are exact, so the statistics do not depend on how the machine adds, or on blocks.
    """

    def __init__(self, channels: int) -> None:
        self.pixels = 0
        self.sums = np.zeros(channels, np.int64)
        self.squares = np.zeros(channels, np.int64)

    def add(self, images: npt.NDArray[np.uint8]) -> None:
        """Add images, (B, height, width, channels)."""
        flat = images.reshape(-1, images.shape[-1])
        self.pixels += len(flat)
        for channel, values in enumerate(flat.T):
            counts = np.zeros(256, np.int64)
            for at in range(0, len(values), COUNTED):
                counts += np.bincount(values[at : at + COUNTED], minlength=256)
            self.sums[channel] += counts @ np.arange(256)
            self.squares[channel] += counts @ np.arange(256) ** 2

    def mean(self) -> tuple[float, ...]:
        """Returns the mean of each channel."""
        return tuple((self.sums / self.pixels / 255).tolist())

    def std(self) -> tuple[float, ...]:
        """Returns the standard deviation of each channel."""
        mean = self.sums / self.pixels / 255
        return tuple(np.sqrt(np.maximum(self.squares / self.pixels / 255**2 - mean**2, 1e-8)).tolist())


def _name(loaded: ArrayImages | FileImages, index: int) -> str:
    return loaded.photos.name(index) if isinstance(loaded, FileImages) else f"image {index}"


def _broken_message(loaded: ArrayImages | FileImages, broken: Sequence[tuple[int, str]]) -> str:
    return "\n".join(
        [
            *_broken_lines(loaded, broken),
            "Mend or remove them, or set dataset.skip_broken=true to leave them out.",
        ]
    )


def _emptied_message(loaded: ArrayImages | FileImages, broken: Sequence[tuple[int, str]], lost: list[str]) -> str:
    return "\n".join(
        [
            "dataset.skip_broken leaves too little of the data:",
            *(f"  {line}" for line in lost),
            *_broken_lines(loaded, broken),
            "Mend or replace them, or take a class that has no other images out of the data set.",
        ]
    )


def _broken_lines(loaded: ArrayImages | FileImages, broken: Sequence[tuple[int, str]]) -> list[str]:
    """The count, and each broken image by its path from the data set's root, up to ``SHOWN`` of them."""
    place = f" below {loaded.place}" if isinstance(loaded, FileImages) else ""
    lines = [f"  {_name(loaded, index)}: {reason}" for index, reason in broken[:SHOWN]]
    more = [f"  and {len(broken) - SHOWN} more"] if len(broken) > SHOWN else []
    return [f"{len(broken)} of {len(loaded.labels)} images{place} are broken:", *lines, *more]
