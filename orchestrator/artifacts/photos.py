"""Encoded photos packed into shards that are read at random by index: part of an ingest stage's artifact.

A shard is an Arrow IPC file with two columns, ``name`` and ``content`` (the bytes of a photo's file), in record batches
of ``ROWS`` photos; only a shard's last batch may have fewer. ``shards.json`` lists the shards in the order of the
images, each with its number of photos. A photo is found by a division and a look at the shard's footer, and read out of
a memory map, so that the processes of a node share its pages; opening a set reads ``shards.json`` alone.

``benchmarks/formats.py`` compares other formats.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.artifacts.reading import Files

if TYPE_CHECKING:
    import pyarrow as pa

SHARDS = "shards.json"
ROWS = 32  # photos in a record batch, which the writer holds in memory
SHARD_BYTES = 1 << 30  # a shard is closed when it has as many
NAME, CONTENT = "name", "content"


@dataclass(frozen=True)
class Shard:
    """File name of a shard, and its number of photos."""

    file: str
    photos: int


class ShardWriter:
    """Writes consecutive photos of a set into as few shards as their size allows; a context manager.

    Args:
        folder: takes the files.
        first: number of the first photo in the set, which is in the names of the files.
        shard_bytes: bytes from which on a shard is closed and another one begun.
    """

    def __init__(self, folder: Path, first: int, shard_bytes: int = SHARD_BYTES) -> None:
        self.folder, self.first, self.shard_bytes = folder, first, shard_bytes
        self.shards: list[Shard] = []
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._names: list[bytes] = []
        self._contents: list[bytes] = []
        self._photos = self._bytes = 0  # of the open shard

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def add(self, name: str, content: bytes) -> None:
        """Append a photo."""
        self._names.append(name.encode("utf-8", "surrogateescape"))
        self._contents.append(content)
        self._photos += 1
        self._bytes += len(content)
        if len(self._names) == ROWS:
            self._flush()
            if self._bytes >= self.shard_bytes:
                self._close()

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._names:
            return
        schema = pa.schema({NAME: pa.binary(), CONTENT: pa.large_binary()})
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self.folder / self._file), schema)
        self._writer.write_batch(pa.record_batch([self._names, self._contents], schema=schema))
        self._names, self._contents = [], []

    def _close(self) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.close()
            self.shards.append(Shard(self._file, self._photos))
            self._writer = None
            self._photos = self._bytes = 0

    @property
    def _file(self) -> str:
        return f"photos-{self.first:08d}-{len(self.shards):02d}.arrow"


def write_shards(folder: Path, shards: Iterable[Shard]) -> None:
    """Write the list of a set's shards, which are in the order of the images."""
    (folder / SHARDS).write_text(json.dumps([[shard.file, shard.photos] for shard in shards]))


class PackedPhotos:
    """Photos of a set in shards: a ``Photos`` of ``orchestrator/datasets/photos.py``.

    Pickled without the shards that it has open: each process opens its own, when a photo of them is read.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        listed: Sequence[tuple[str, int]] = files.json(SHARDS)
        self.shards = tuple(Shard(name, photos) for name, photos in listed)
        self.ends = np.cumsum([shard.photos for shard in self.shards], dtype=np.int64)
        self._open: dict[int, pa.ipc.RecordBatchFileReader] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}

    def __len__(self) -> int:
        return int(self.ends[-1]) if self.shards else 0

    def name(self, index: int) -> str:
        """Returns the name that the photo had where it came from, as messages show it."""
        name: bytes = self._value(index, NAME)
        return name.decode("utf-8", "backslashreplace")

    def read(self, index: int) -> bytes:
        """Returns the content of the photo's file.

        Raises:
            IndexError: when there is no such photo.
            OSError: when the file system fails.
        """
        content: bytes = self._value(index, CONTENT)
        return content

    def _value(self, index: int, column: str) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"photo {index} of {len(self):,}")
        shard = int(np.searchsorted(self.ends, index, side="right"))
        row = index - int(self.ends[shard]) + self.shards[shard].photos
        if shard not in self._open:
            self._open[shard] = _reader(self.files, self.shards[shard].file)
        return self._open[shard].get_batch(row // ROWS).column(column)[row % ROWS].as_py()


def _reader(files: Files, name: str) -> pa.ipc.RecordBatchFileReader:
    import pyarrow as pa

    return pa.ipc.open_file(files.open(name))
