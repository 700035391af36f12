"""The files of one artifact, read one at a time: from a local folder, or through the storage's file system.

The modules of the formats (``dataset``, ``scores``, ``trained``, ``trials``) take either as ``Files``.
"""

from __future__ import annotations

import io
import json
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from orchestrator.artifacts.cache import fetched, origin_of
from orchestrator.artifacts.store import Store

LARGEST = 256 << 20  # bytes of a file that ``StoredFiles`` reads from a storage that is not mounted

Array = npt.NDArray[Any]
MapMode = Literal["r", "c"]  # numpy's modes of a memory map: read-only, and copy-on-write

_loaded: dict[tuple[str, str, str], Any] = {}  # by storage, artifact and file


class Files(Protocol):
    """Reads files of an artifact by their names.

    Each method raises an OSError where the file is missing, and a ValueError or EOFError where it is damaged.
    """

    def has(self, name: str) -> bool:
        """Returns whether the artifact has the file."""
        ...

    def json(self, name: str) -> Any:
        """Returns the content of a JSON file."""
        ...

    def array(self, name: str, mode: MapMode | None = None) -> Array:
        """Returns a NumPy array; with a ``mode`` it may be a memory map."""
        ...

    def columns(self, name: str) -> dict[str, Array]:
        """Returns the columns of a Parquet file."""
        ...

    def open(self, name: str) -> pa.NativeFile:
        """Returns a file that is open to be read at any place: a memory map where it is local."""
        ...


@dataclass(frozen=True)
class FolderFiles:
    """The files of an artifact in a local folder, as ``Store.fetch`` returns one.

    In a folder of the node's cache each is downloaded when it is first read.
    """

    folder: Path

    def path(self, name: str) -> Path:
        """Returns the path of a file."""
        return fetched(self.folder, name, Store) if origin_of(self.folder) else self.folder / name

    def has(self, name: str) -> bool:
        origin = origin_of(self.folder)
        return name in origin["files"] if origin else (self.folder / name).exists()

    def json(self, name: str) -> Any:
        return json.loads(self.path(name).read_text())

    def array(self, name: str, mode: MapMode | None = None) -> Array:
        found: Array = np.load(self.path(name), mmap_mode=mode)
        return found

    def columns(self, name: str) -> dict[str, Array]:
        return _columns(self.path(name))

    def open(self, name: str) -> pa.NativeFile:
        return mapped(self.path(name))


@dataclass(frozen=True)
class StoredFiles:
    """The files of an artifact where they lie in the storage.

    Artifacts never change, so the content of a file is kept in memory and read once by a process. On a mounted file
    system arrays are memory-mapped; elsewhere a file of more than ``LARGEST`` bytes is refused with an OSError.
    """

    store: Store
    identity: str

    def has(self, name: str) -> bool:
        return self._size(name) is not None

    def json(self, name: str) -> Any:
        return self._once(name, lambda: json.loads(self._bytes(name)))

    def array(self, name: str, mode: MapMode | None = None) -> Array:
        def read() -> Array:
            if self.store.local_root:
                return FolderFiles(Path(self.store.folder(self.identity))).array(name, mode or "r")
            found: Array = np.load(io.BytesIO(self._bytes(name)))
            return found

        loaded: Array = self._once(name, read)
        return loaded

    def columns(self, name: str) -> dict[str, Array]:
        loaded: dict[str, Array] = self._once(name, lambda: _columns(io.BytesIO(self._bytes(name))))
        return loaded

    def open(self, name: str) -> pa.NativeFile:
        if self.store.local_root:
            return FolderFiles(Path(self.store.folder(self.identity))).open(name)
        return self.store.open("artifacts", self.identity, name)

    def _once(self, name: str, read: Callable[[], Any]) -> Any:
        key = (self.store.uri, self.identity, name)
        if key not in _loaded:
            _loaded[key] = read()
        return _loaded[key]

    def _size(self, name: str) -> int | None:
        size: int | None = self.store.info("artifacts", self.identity, name).size
        return size

    def _bytes(self, name: str) -> bytes:
        size = self._size(name)
        if size is None:
            raise FileNotFoundError(f"{name} of {self.identity} is not in the storage")
        if size > LARGEST:
            raise OSError(f"{name} of {self.identity} has {size:,} bytes, which are too many to fetch")
        return self.store.read_bytes("artifacts", self.identity, name)


def mapped(path: Path) -> pa.BufferReader:
    """Returns a local file as a memory map.

    Not pyarrow's own map, which asks the kernel to read ahead all that a batch spans: random reads take five times as
    long with it.
    """
    with open(path, "rb") as file:
        return pa.BufferReader(pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))


def _columns(source: Path | io.BytesIO) -> dict[str, Array]:
    import pyarrow.parquet as parquet  # a run with nothing left to do reads none

    table = parquet.read_table(source)
    return {name: table.column(name).to_numpy() for name in table.column_names}
