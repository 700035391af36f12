"""ingest: conversion of a data set to canonical arrays or a list of files, with every image checked (Ray Data).

The artifact's files are those of ``artifacts/dataset.py``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
import ray.data

from orchestrator import datasets
from orchestrator.artifacts import dataset
from orchestrator.artifacts.dataset import Counts, DatasetAbout
from orchestrator.artifacts.store import Artifact
from orchestrator.datasets import TEST, TRAIN, VALIDATION, ArrayImages, DatasetInfo, FileImages
from orchestrator.datasets.decoding import BrokenImageError, decode_content
from orchestrator.datasets.photos import FolderPhotos, Photos
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job

CHUNK = 1024
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # as torchvision's weights expect
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
        loaded = datasets.load(recipe)
        info = datasets.describe(recipe)
        if info.fingerprint != job.spec["fingerprint"]:
            raise StageError(
                f"dataset: {recipe.name} is no longer what it was when the run was planned; start the run again, and "
                "if that does not help look for what makes the data differ from one reading or node to the next"
            )
        job.say(doing=f"checking {len(loaded.labels):,} images")
        broken = (
            _check_arrays(loaded, info.classes)
            if isinstance(loaded, ArrayImages)
            else _check_files(loaded, recipe.white_level)
        )
    except datasets.DatasetError as error:
        raise StageError(str(error)) from None
    keep = np.ones(len(loaded.labels), bool)
    if broken:
        if not recipe.skip_broken:
            raise StageError(_broken_message(loaded, broken))
        keep[[index for index, _ in broken]] = False
        lost = datasets.emptied(loaded.labels, loaded.subset, keep, loaded.class_names)
        if lost:
            raise StageError(_emptied_message(loaded, broken, lost))
    with job.store.scratch() as scratch:
        about = write(scratch, loaded, keep, info, broken, recipe.white_level)
        return job.commit(scratch, start, {"counts": dataclasses.asdict(about.counts), "classes": about.classes})


def write(
    folder: Path, loaded: ArrayImages | FileImages, keep: npt.NDArray[np.bool_], info: DatasetInfo,
    broken: Sequence[tuple[int, str]], white_level: float | None,
) -> DatasetAbout:  # fmt: skip
    """Write the artifact's files; returns the description of the valid images."""
    labels, subset = loaded.labels[keep], loaded.subset[keep]
    about = DatasetAbout(
        classes=info.classes,
        class_names=tuple(loaded.class_names),
        image_shape=tuple(info.image_shape),
        image_size=info.image_shape[1],
        counts=Counts(
            train=int((subset == TRAIN).sum()),
            validation=int((subset == VALIDATION).sum()),
            test=int((subset == TEST).sum()),
            skipped=len(broken),
        ),
        broken=tuple((_name(loaded, index), reason) for index, reason in broken),
        layout="files",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        white_level=white_level,
    )
    if isinstance(loaded, FileImages):
        assert isinstance(loaded.photos, FolderPhotos), "photos that lie in no folder can't be read in place"
        paths = [path for path, kept in zip(loaded.photos.paths, keep, strict=True) if kept]
        dataset.write_files(folder, about, labels, subset, paths)
        return about
    images = loaded.images[keep]
    mean, std = _statistics(images[subset == TRAIN])
    digest = hashlib.sha256(images.tobytes())
    digest.update(labels.astype(np.int64).tobytes())
    about = dataclasses.replace(about, layout="arrays", mean=mean, std=std, content=digest.hexdigest())
    severity = None if loaded.severity is None else loaded.severity[keep]
    dataset.write_arrays(folder, about, labels, subset, images, severity)
    return about


def _check_arrays(loaded: ArrayImages, classes: int) -> list[tuple[int, str]]:
    """Broken images as (index, reason), checked in parallel blocks."""
    images, labels = ray.put(loaded.images), ray.put(loaded.labels)
    height, width, channels = loaded.images.shape[1:]

    def check(rows: dict[str, npt.NDArray[Any]]) -> dict[str, list[Any]]:
        block = slice(int(rows["start"][0]), int(rows["stop"][0]))
        shape = (channels, height, width)
        found = datasets.check_arrays(ray.get(images)[block], ray.get(labels)[block], classes, shape)
        return {"index": [index + block.start for index, _ in found], "reason": [reason for _, reason in found]}

    return [(int(row["index"]), str(row["reason"])) for row in _collect(len(loaded.labels), check)]


def _check_files(loaded: FileImages, white_level: float | None) -> list[tuple[int, str]]:
    """Broken photos as (index, reason): every file is decoded whole, in parallel.

    Raises:
        DatasetError: when all are nearly black.
    """
    photos = ray.put(loaded.photos)

    def check(rows: dict[str, npt.NDArray[Any]]) -> dict[str, list[Any]]:
        every, start, stop = ray.get(photos), int(rows["start"][0]), int(rows["stop"][0])
        checked = [(index, *_check_photo(every, index, white_level)) for index in range(start, stop)]
        broken = [(index, reason) for index, reason, _ in checked if reason]
        whole = (start, "")  # one row for all whole images, so that a large set does not come back image by image
        return {
            "index": [index for index, _ in (whole, *broken)],
            "reason": [reason for _, reason in (whole, *broken)],
            "brightest": [max(brightest for *_, brightest in checked), *(0 for _ in broken)],
        }

    rows = _collect(len(loaded.labels), check)
    broken = [(int(row["index"]), str(row["reason"])) for row in rows if row["reason"]]
    if len(broken) < len(loaded.labels):
        datasets.check_brightness(max(int(row["brightest"]) for row in rows))
    return broken


def _check_photo(photos: Photos, index: int, white_level: float | None) -> tuple[str, int]:
    """Why a photo is broken, empty where it is not, and its brightest value."""
    try:
        return "", int(decode_content(photos.read(index), photos.name(index), white_level).max())
    except BrokenImageError as error:
        return error.reason, 0


def _collect(count: int, check: Any) -> list[dict[str, Any]]:
    """The rows that ``check`` returns for chunks of a set's images, in the order of ``index``."""
    starts = range(0, count, CHUNK)
    chunks = [{"start": start, "stop": min(start + CHUNK, count)} for start in starts]
    checked = ray.data.from_items(chunks, override_num_blocks=len(chunks)).map_batches(check, batch_size=1)
    return sorted(checked.iter_rows(), key=lambda row: row["index"])


def _statistics(images: npt.NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, for pixels in [0, 1].

    Sums of whole numbers are exact, so the statistics do not depend on how the machine adds.
    """
    pixels = images.shape[0] * images.shape[1] * images.shape[2]
    sums = images.sum(axis=(0, 1, 2), dtype=np.int64)
    squares = np.stack([np.square(images[..., channel], dtype=np.int64).sum() for channel in range(images.shape[3])])
    mean = sums / pixels / 255
    std = np.sqrt(np.maximum(squares / pixels / 255**2 - mean**2, 1e-8))
    return tuple(mean.tolist()), tuple(std.tolist())


def _name(loaded: ArrayImages | FileImages, index: int) -> str:
    return loaded.photos.name(index) if isinstance(loaded, FileImages) else f"image {index}"


def _broken_message(loaded: ArrayImages | FileImages, broken: list[tuple[int, str]]) -> str:
    return "\n".join(
        [
            *_broken_lines(loaded, broken),
            "Mend or remove them, or set dataset.skip_broken=true to leave them out.",
        ]
    )


def _emptied_message(loaded: ArrayImages | FileImages, broken: list[tuple[int, str]], lost: list[str]) -> str:
    return "\n".join(
        [
            "dataset.skip_broken leaves too little of the data:",
            *(f"  {line}" for line in lost),
            *_broken_lines(loaded, broken),
            "Mend or replace them, or take a class that has no other images out of the data set.",
        ]
    )


def _broken_lines(loaded: ArrayImages | FileImages, broken: list[tuple[int, str]]) -> list[str]:
    """The count, and each broken image by its path from the data set's root, up to ``SHOWN`` of them."""
    place = f" below {loaded.place}" if isinstance(loaded, FileImages) else ""
    lines = [f"  {_name(loaded, index)}: {reason}" for index, reason in broken[:SHOWN]]
    more = [f"  and {len(broken) - SHOWN} more"] if len(broken) > SHOWN else []
    return [f"{len(broken)} of {len(loaded.labels)} images{place} are broken:", *lines, *more]
