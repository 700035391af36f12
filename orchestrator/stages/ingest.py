"""ingest: a data set -> canonical arrays or a list of files, with every image checked (Ray Data).

Files of the artifact: ``dataset.json`` (layout, shape, classes, mean, std, counts, content hash), ``labels.npy``,
``subset.npy``; then ``images.npy`` uint8 (N, H, W, C) and maybe ``severity.npy``, or ``paths.json``.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
import ray.data

from orchestrator import datasets
from orchestrator.artifacts.store import Artifact
from orchestrator.datasets import TEST, TRAIN, VALIDATION, ArrayImages, DatasetRecipe, FileImages
from orchestrator.datasets.decoding import BrokenImageError, decode
from orchestrator.datasets.folders import printable
from orchestrator.stages.job import Job, StageError

CHUNK = 1024
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # as torchvision's weights expect
SHOWN = 20  # broken images named in full


def run(job: Job) -> Artifact:
    """Make the ingest artifact.

    Raises:
        StageError: with the list of broken images, unless ``dataset.skip_broken`` is set and leaves enough images; for
            data that are no longer those that the run was planned with; for photos that are all nearly black.
    """
    start = time.time()
    # Absolute: this process may work in another folder than the command that was given.
    recipe = DatasetRecipe.model_validate(job.settings["dataset"] | {"root": job.dataset_root})
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
    labels, subset = loaded.labels[keep], loaded.subset[keep]
    about: dict[str, Any] = {
        "classes": info.classes,
        "class_names": list(loaded.class_names),
        "image_shape": list(info.image_shape),
        "image_size": info.image_shape[1],
        "counts": {
            "train": int((subset == TRAIN).sum()),
            "validation": int((subset == VALIDATION).sum()),
            "test": int((subset == TEST).sum()),
            "skipped": len(broken),
        },
        "broken": [[_name(loaded, index), reason] for index, reason in broken],
    }
    with job.store.scratch() as scratch:
        if isinstance(loaded, ArrayImages):
            about |= _write_arrays(scratch, loaded, keep, subset)
        else:
            about |= _write_files(scratch, loaded, keep) | {"white_level": recipe.white_level}
        np.save(scratch / "labels.npy", labels.astype(np.int64))
        np.save(scratch / "subset.npy", subset)
        (scratch / "dataset.json").write_text(json.dumps(about, indent=1))
        return job.commit(scratch, start, {"counts": about["counts"], "classes": about["classes"]})


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
    paths, root = ray.put(loaded.paths), loaded.root

    def check(rows: dict[str, npt.NDArray[Any]]) -> dict[str, list[Any]]:
        every, start, stop = ray.get(paths), int(rows["start"][0]), int(rows["stop"][0])
        checked = [(index, *_check_file(Path(root) / every[index], white_level)) for index in range(start, stop)]
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


def _check_file(path: Path, white_level: float | None) -> tuple[str, int]:
    """Why an image is broken, empty where it is not, and its brightest value."""
    try:
        return "", int(decode(path, white_level).max())
    except BrokenImageError as error:
        return error.reason, 0


def _collect(count: int, check: Any) -> list[dict[str, Any]]:
    """The rows that ``check`` returns for chunks of a set's images, in the order of ``index``."""
    starts = range(0, count, CHUNK)
    chunks = [{"start": start, "stop": min(start + CHUNK, count)} for start in starts]
    checked = ray.data.from_items(chunks, override_num_blocks=len(chunks)).map_batches(check, batch_size=1)
    return sorted(checked.iter_rows(), key=lambda row: row["index"])


def _write_arrays(
    scratch: Path, loaded: ArrayImages, keep: npt.NDArray[np.bool_], subset: npt.NDArray[np.uint8]
) -> dict[str, Any]:
    images = loaded.images[keep]
    np.save(scratch / "images.npy", images)
    if loaded.severity is not None:
        np.save(scratch / "severity.npy", loaded.severity[keep].astype(np.float32))
    training = images[subset == TRAIN]
    # Sums of whole numbers are exact, so the statistics do not depend on how the machine adds.
    pixels = training.shape[0] * training.shape[1] * training.shape[2]
    sums = training.sum(axis=(0, 1, 2), dtype=np.int64)
    squares = np.stack(
        [np.square(training[..., channel], dtype=np.int64).sum() for channel in range(training.shape[3])]
    )
    mean = sums / pixels / 255
    std = np.sqrt(np.maximum(squares / pixels / 255**2 - mean**2, 1e-8))
    digest = hashlib.sha256(images.tobytes())
    digest.update(loaded.labels[keep].astype(np.int64).tobytes())
    return {"layout": "arrays", "mean": mean.tolist(), "std": std.tolist(), "content": digest.hexdigest()}


def _write_files(scratch: Path, loaded: FileImages, keep: npt.NDArray[np.bool_]) -> dict[str, Any]:
    paths = [path for path, kept in zip(loaded.paths, keep, strict=True) if kept]
    (scratch / "paths.json").write_text(json.dumps(paths))
    return {"layout": "files", "mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD)}


def _name(loaded: ArrayImages | FileImages, index: int) -> str:
    return printable(loaded.paths[index]) if isinstance(loaded, FileImages) else f"image {index}"


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
    root = f" below {loaded.root}" if isinstance(loaded, FileImages) else ""
    lines = [f"  {_name(loaded, index)}: {reason}" for index, reason in broken[:SHOWN]]
    more = [f"  and {len(broken) - SHOWN} more"] if len(broken) > SHOWN else []
    return [f"{len(broken)} of {len(loaded.labels)} images{root} are broken:", *lines, *more]
