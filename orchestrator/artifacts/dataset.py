"""The files of an ingest stage's artifact: the images of a data set, checked, with their labels.

``dataset.json`` describes the set. ``labels.npy`` is int64 (N,), ``subset.npy`` uint8 (N,): 0 training, 1 validation,
2 test. The layouts add:

- ``arrays``: ``images.npy``, uint8 (N, height, width, channels), and ``severity.npy``, float32 (N,), where severities
  are known.
- ``packed``: encoded photos in shards (``photos.py``).
- ``files``: ``paths.arrow``, columns of paths relative to the recipe's ``dataset.root``, where the photos lie, and of
  the files' sizes in bytes. The paths were ``paths.json`` before, without sizes, and are read from there too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from orchestrator.artifacts.photos import Shard, write_shards
from orchestrator.artifacts.reading import Files

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1  # part of the stage's identity: raise it when the same spec comes to make other files
ABOUT, LABELS, SUBSET = "dataset.json", "labels.npy", "subset.npy"
IMAGES, SEVERITY, PATHS, EARLIER_PATHS = "images.npy", "severity.npy", "paths.arrow", "paths.json"
PATH, SIZE = "path", "size"  # columns of ``PATHS``

Layout = Literal["arrays", "files", "packed"]


@dataclass(frozen=True)
class Counts:
    """Images in each part of the set, broken ones that were left out, and training labels replaced by label noise."""

    train: int
    validation: int
    test: int
    skipped: int
    wrong_labels: int = 0


@dataclass(frozen=True)
class Oddity:
    """Images that are no errors, but change what an accuracy means: their number, and the names of some."""

    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class DatasetAbout:
    """The content of ``dataset.json``.

    Args:
        image_shape: (channels, height, width).
        image_size: the edge of the images that networks see, in pixels.
        broken: name and reason of each image that was left out.
        mean, std: of each channel, for pixels in [0, 1].
        content: SHA-256 of the pixels and labels; of arrays alone.
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
    odd_images: dict[str, Oddity] = field(default_factory=dict)

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
    images: Iterable[npt.NDArray[np.uint8]], severity: npt.NDArray[np.float32] | None,
) -> None:  # fmt: skip
    """Write a set of the layout ``arrays``; ``images`` are consecutive ones, or blocks of them."""
    blocks = iter(images)
    first = next(blocks)
    shape = (len(labels), *first.shape[-3:])
    with open(folder / IMAGES, "wb") as file:  # as numpy.save, but never the whole array at once
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for block in chain([first], blocks):
            file.write(np.ascontiguousarray(block).data)
    if severity is not None:
        np.save(folder / SEVERITY, severity.astype(np.float32))
    _write(folder, about, labels, subset)


def write_files(
    folder: Path, about: DatasetAbout, labels: npt.NDArray[np.int64], subset: npt.NDArray[np.uint8],
    paths: Iterable[str], sizes: npt.NDArray[np.int64] | None = None,
) -> None:  # fmt: skip
    """Write a set of the layout ``files``; ``sizes`` are those of the files in bytes, where they are to be compared."""
    import pyarrow as pa  # only where a set is made

    table = pa.table({PATH: pa.array([os.fsencode(path) for path in paths], pa.large_binary())})
    if sizes is not None:
        table = table.append_column(SIZE, pa.array(sizes, pa.int64()))
    with pa.ipc.new_file(str(folder / PATHS), table.schema) as writer:
        writer.write_table(table)
    _write(folder, about, labels, subset)


def write_packed(
    folder: Path, about: DatasetAbout, labels: npt.NDArray[np.int64], subset: npt.NDArray[np.uint8],
    shards: Iterable[Shard],
) -> None:  # fmt: skip
    """Write a set of the layout ``packed``, but for its shards."""
    write_shards(folder, shards)
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


class StoredPaths(Sequence[str]):
    """Paths in a memory-mapped column, each made to text when it is asked for: no process holds a million strings.

    Pickled without the map, which each process opens itself.
    """

    def __init__(self, files: Files) -> None:
        self.files = files

    @cached_property
    def _column(self) -> pa.ChunkedArray:
        import pyarrow as pa

        return pa.ipc.open_file(self.files.open(PATHS)).read_all()[PATH]

    def __getstate__(self) -> dict[str, Files]:
        return {"files": self.files}

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [os.fsdecode(path) for path in self._column[index].to_pylist()]
        return os.fsdecode(self._column[index].as_py())


def read_paths(files: Files) -> Sequence[str]:
    """Returns the path of each image, relative to the recipe's ``dataset.root``."""
    if not files.has(PATHS):
        earlier: list[str] = files.json(EARLIER_PATHS)
        return earlier
    return StoredPaths(files)


def read_sizes(files: Files) -> npt.NDArray[np.int64] | None:
    """Returns the size in bytes of each image's file, (N,), when it was checked; None where that is not known."""
    if not files.has(PATHS):
        return None
    import pyarrow as pa

    table = pa.ipc.open_file(files.open(PATHS)).read_all()
    return table[SIZE].to_numpy() if SIZE in table.column_names else None
