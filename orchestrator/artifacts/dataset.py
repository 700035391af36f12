"""The files of an ingest stage's artifact: the images of a data set, checked, with their labels.

``dataset.json`` describes the set. ``labels.npy`` is int64 (N,), ``subset.npy`` uint8 (N,): 0 training, 1 validation,
2 test. The layout ``arrays`` adds ``images.npy``, uint8 (N, height, width, channels), and ``severity.npy``, float32
(N,), where severities are known. The layout ``files`` adds ``paths.json``, a list of paths relative to the recipe's
``dataset.root``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from orchestrator.artifacts.reading import Files

VERSION = 1  # part of the stage's identity: raise it when the same spec comes to make other files
ABOUT, LABELS, SUBSET = "dataset.json", "labels.npy", "subset.npy"
IMAGES, SEVERITY, PATHS = "images.npy", "severity.npy", "paths.json"

Layout = Literal["arrays", "files"]


@dataclass(frozen=True)
class Counts:
    """Images in each part of the set, and broken ones that were left out."""

    train: int
    validation: int
    test: int
    skipped: int


@dataclass(frozen=True)
class DatasetAbout:
    """The content of ``dataset.json``.

    Args:
        image_shape: (channels, height, width).
        image_size: the edge of the images that networks see, in pixels.
        broken: name and reason of each image that was left out.
        mean, std: of each channel, for pixels in [0, 1].
        content: SHA-256 of the pixels and labels; None in the layout ``files``.
        white_level: value that is white in grey images of more than 8 bits, where the recipe sets it.
    """

    classes: int
    class_names: tuple[str, ...]
    image_shape: tuple[int, ...]
    image_size: int
    counts: Counts
    broken: tuple[tuple[str, str], ...]
    layout: Layout
    mean: tuple[float, ...]
    std: tuple[float, ...]
    content: str | None = None
    white_level: float | None = None

    def to_json(self) -> str:
        """Returns the content of the file: the fields in their order, without those of the other layout."""
        absent = "white_level" if self.layout == "arrays" else "content"
        return json.dumps({name: value for name, value in asdict(self).items() if name != absent}, indent=1)

    @staticmethod
    def from_plain(content: object) -> DatasetAbout:
        """Returns the description whose ``to_json`` has this content; fields that it does not know are left out.

        Raises:
            ValueError: when a field is missing or has another type.
        """
        try:
            return _ABOUT.validate_python(content)
        except ValueError as error:
            raise ValueError(f"{ABOUT} does not describe a data set: {error}") from error


_ABOUT = TypeAdapter(DatasetAbout)


def write_arrays(
    folder: Path, about: DatasetAbout, labels: npt.NDArray[np.int64], subset: npt.NDArray[np.uint8],
    images: npt.NDArray[np.uint8], severity: npt.NDArray[np.float32] | None,
) -> None:  # fmt: skip
    """Write a set of the layout ``arrays``."""
    np.save(folder / IMAGES, images)
    if severity is not None:
        np.save(folder / SEVERITY, severity.astype(np.float32))
    _write(folder, about, labels, subset)


def write_files(
    folder: Path, about: DatasetAbout, labels: npt.NDArray[np.int64], subset: npt.NDArray[np.uint8],
    paths: Sequence[str],
) -> None:  # fmt: skip
    """Write a set of the layout ``files``."""
    (folder / PATHS).write_text(json.dumps(list(paths)))
    _write(folder, about, labels, subset)


def _write(
    folder: Path, about: DatasetAbout, labels: npt.NDArray[np.int64], subset: npt.NDArray[np.uint8]
) -> None:  # fmt: skip
    np.save(folder / LABELS, labels.astype(np.int64))
    np.save(folder / SUBSET, subset)
    (folder / ABOUT).write_text(about.to_json())


def read_about(files: Files) -> DatasetAbout:
    """Returns the description of the set."""
    return DatasetAbout.from_plain(files.json(ABOUT))


def read_labels(files: Files) -> npt.NDArray[np.int64]:
    """Returns the class of each image, (N,)."""
    return files.array(LABELS)


def read_subset(files: Files) -> npt.NDArray[np.uint8]:
    """Returns the part of the set that each image belongs to, (N,)."""
    return files.array(SUBSET)


def read_images(files: Files) -> npt.NDArray[np.uint8]:
    """Returns the images, (N, height, width, channels), mapped where the files are local.

    The map is copy-on-write: all processes of a node share its pages, and torch gets an array that it may write to.
    """
    return files.array(IMAGES, "c")


def read_severity(files: Files) -> npt.NDArray[np.float32] | None:
    """Returns the severity of each image, (N,); None where it is not known."""
    return files.array(SEVERITY) if files.has(SEVERITY) else None


def read_paths(files: Files) -> list[str]:
    """Returns the path of each image, relative to the recipe's ``dataset.root``."""
    paths: list[str] = files.json(PATHS)
    return paths
