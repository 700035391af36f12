"""Encoded photos by index: the form in which a photo travels from where it lies to the decoder."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from orchestrator.datasets.bucket import source_of
from orchestrator.datasets.decoding import BrokenImageError
from orchestrator.datasets.folders import BROKEN_LINK, printable
from orchestrator.datasets.spec import DatasetError

READERS = 8  # objects of a bucket that one process reads at once

PAUSES = (0.5, 2.0, 8.0)
"""Seconds before each further try to read a photo."""


class Photos(Protocol):
    """Encoded photos of a data set. It can be pickled, and holds no open file: each process opens its own."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Returns the photo's name as messages show it."""
        ...

    def read(self, index: int) -> bytes:
        """Returns the content of a photo's file.

        Raises:
            BrokenImageError: when there is no such file.
            ChangedPhotoError: when it is not the one that was listed.
            OSError: when the file system fails.
        """
        ...


class ChangedPhotoError(DatasetError):
    """Raised for a file that is not the one that was listed."""

    def __init__(self, path: str, now: str) -> None:
        super().__init__(f"{path}: {now}; the data set has changed since it was listed: list it again with --rescan")
        self.path, self.now = path, now

    def __reduce__(self) -> tuple[type[ChangedPhotoError], tuple[str, str]]:
        return type(self), (self.path, self.now)


class Paths(Sequence[str]):
    """Paths in one Arrow column of bytes, each made to text when it is asked for; a million take tens of megabytes."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._column = column.combine_chunks()

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Paths: ...

    def __getitem__(self, index: int | slice) -> str | Paths:
        if isinstance(index, slice):
            return Paths(pa.chunked_array([self._column[index]]))
        return os.fsdecode(self._column[index].as_py())


@dataclass(frozen=True)
class FolderPhotos:
    """Photos in files below a folder.

    Attributes:
        root: the folder.
        paths: from there, with forward slashes.
        sizes: of the files in bytes, where each is to be compared with what it was.
    """

    root: str
    paths: Sequence[str]
    sizes: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return printable(self.paths[index])

    def read(self, index: int) -> bytes:
        path = os.path.join(self.root, self.paths[index])
        try:
            with open(path, "rb") as file:
                content = file.read()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            if self.sizes is not None and self.sizes[index] != BROKEN_LINK:
                raise ChangedPhotoError(path, "it is no longer there") from error
            raise BrokenImageError(path, error.strerror or str(error)) from error
        _compare(path, content, self.sizes, index)
        return content


@dataclass(frozen=True)
class BucketPhotos:
    """Photos in the objects below a URI; the attributes are those of ``FolderPhotos``."""

    root: str
    paths: Sequence[str]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return printable(self.paths[index])

    def read(self, index: int) -> bytes:
        path, source = self.paths[index], source_of(self.root)
        try:
            content = source.read_bytes(path)
        except FileNotFoundError as error:
            raise ChangedPhotoError(f"{source.shown}/{path}", "it is no longer there") from error
        _compare(f"{source.shown}/{path}", content, self.sizes, index)
        return content


def _compare(path: str, content: bytes, sizes: NDArray[np.int64] | None, index: int) -> None:
    if sizes is not None and sizes[index] not in (len(content), BROKEN_LINK):
        raise ChangedPhotoError(path, f"it has {len(content):,} bytes, and had {sizes[index]:,}")


def read_in_order(photos: Photos, indices: Iterable[int]) -> Iterator[tuple[int, Callable[[], bytes]]]:
    """Yields numbers of photos, each with a function that returns the photo's content or raises as ``read`` does.

    Objects of a bucket are read ahead, several at once, since each takes its time to be answered.
    """
    if not isinstance(photos, BucketPhotos):
        yield from ((index, partial(photos.read, index)) for index in indices)
        return
    waiting: deque[tuple[int, Future[bytes]]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        try:
            for index in indices:
                waiting.append((index, pool.submit(photos.read, index)))
                if len(waiting) > 2 * READERS:
                    number, reading = waiting.popleft()
                    yield number, reading.result
            yield from ((number, reading.result) for number, reading in waiting)
        finally:
            pool.shutdown(cancel_futures=True)


def read_patiently(photos: Photos, index: int, pauses: Sequence[float] = PAUSES) -> bytes:
    """Returns the content of a photo's file, where a file system or an object store may fail for a moment.

    Raises:
        BrokenImageError: when there is no such file.
        OSError: naming the photo, when every try failed: a fault of the machine, not of the photo.
    """
    for pause in pauses:
        try:
            return photos.read(index)
        except OSError:
            time.sleep(pause)
    try:
        return photos.read(index)
    except OSError as error:
        tries = len(pauses) + 1
        raise OSError(error.errno, f"{photos.name(index)}: not read in {tries} tries: {error}") from error
