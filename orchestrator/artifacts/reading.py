"""The files of one artifact, read one at a time: from a local folder, or through the storage's file system.

The modules of the formats (``dataset``, ``scores``, ``trained``, ``trials``) take either as ``Files``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

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


@dataclass(frozen=True)
class FolderFiles:
    """The files of an artifact in a local folder, such as ``Store.fetch`` returns."""

    folder: Path

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    def array(self, name: str, mode: MapMode | None = None) -> Array:
        found: Array = np.load(self.folder / name, mmap_mode=mode)
        return found

    def columns(self, name: str) -> dict[str, Array]:
        return _columns(self.folder / name)


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


def _columns(source: Path | io.BytesIO) -> dict[str, Array]:
    import pyarrow.parquet as parquet  # a run with nothing left to do reads none

    table = parquet.read_table(source)
    return {name: table.column(name).to_numpy() for name in table.column_names}
