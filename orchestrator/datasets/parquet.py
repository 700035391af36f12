"""``parquet``: photos in Parquet shards, as the Hugging Face hub lays out most image classification sets.

The split of a shard is in its name or its folder's: train-00000-of-00257.parquet, train/0000.parquet, train.parquet, in
any folder below the root. The shards of a split lie in one folder; of a repository with several configurations,
each in a folder of its own, the root is the folder of one.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa
from pyarrow import fs as pafs

from orchestrator.datasets.bucket import Source, source_of
from orchestrator.datasets.folders import SETTLING_SECONDS, UNSETTLED
from orchestrator.datasets.listing import Listing, Manifest
from orchestrator.datasets.photos import Photos
from orchestrator.datasets.spec import DatasetError, DatasetRecipe
from orchestrator.datasets.tables import (
    SPLITS,
    Labels,
    Shard,
    TablePhotos,
    check_columns,
    check_size,
    class_names_of,
    listing_of,
)

READERS = 16  # shards whose labels are read at once
ROWS = 32  # decoded at once: a row group of photos may be larger than memory
BUFFER = 1 << 20  # bytes of a column that are read at once


def scan(recipe: DatasetRecipe) -> Listing:
    """Returns the shards with their labels; no image is read.

    The fingerprint is of the decoder's version, the columns' names, the classes, and the path, size and labels of
    each shard.
    """
    began, source = time.time(), Source.of_command(recipe.root)
    shards = _find_shards(source, recipe)
    with ThreadPoolExecutor(READERS) as pool:
        labels = list(pool.map(lambda shard: _read_labels(source, shard.path, recipe), shards))
    return listing_of(recipe, shards, labels, began)


def stamps(recipe: DatasetRecipe, known: Manifest) -> dict[str, str]:
    """Returns size and time of each shard."""
    return {shard.path: shard.stamp for shard in _find_shards(Source.of_command(recipe.root), recipe)}


def photos(recipe: DatasetRecipe, listing: Listing) -> Photos:
    """Returns the photos; reads of neighbouring rows, in their order, are fast."""
    return ParquetPhotos(recipe.root, recipe.image_column, listing)


@dataclass
class _Window:
    """Values of a shard from row ``start`` on, and those that follow."""

    shard: str
    following: Iterator[tuple[int, pa.Array]]
    start: int = 0
    values: pa.Array = field(default_factory=lambda: pa.nulls(0))


class ParquetPhotos(TablePhotos):
    """Photos in Parquet shards. The last few rows that were read are held, one shard is open."""

    def __init__(self, root: str, column: str, listing: Listing) -> None:
        super().__init__(root, column, listing)
        self._lock = threading.Lock()
        self._window: _Window | None = None

    def value(self, shard: str, row: int, size: int) -> object:
        with self._lock:
            return source_of(self.root).reading(lambda: self._value(shard, row, size))

    def _value(self, shard: str, row: int, size: int) -> object:
        window, self._window = self._window, None  # a try after a failure opens the shard again
        if window is None or window.shard != shard or row < window.start:
            window = _Window(shard, self._read(shard, row, size))
        while row >= window.start + len(window.values):
            window.start, window.values = next(window.following)
        self._window = window
        return window.values[row - window.start].as_py()

    def _read(self, shard: str, row: int, size: int) -> Iterator[tuple[int, pa.Array]]:
        """Yields the values of a shard in batches, each with the number of its first row, from ``row``'s group on."""
        import pyarrow.parquet as pq

        source = source_of(self.root)
        stream = source.open(shard)
        check_size(f"{source.shown}/{shard}", stream.size(), size)
        file = pq.ParquetFile(stream, buffer_size=BUFFER)
        start = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if start + rows <= row:
                start += rows
                continue
            for batch in file.iter_batches(ROWS, row_groups=[group], columns=[self.column], use_threads=False):
                yield start, batch.column(0)
                start += len(batch)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_window")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._lock, self._window = threading.Lock(), None


def _find_shards(source: Source, recipe: DatasetRecipe) -> list[Shard]:
    if source.info().type != pafs.FileType.Directory:
        raise DatasetError(f"dataset.root: '{source.shown}' is not a folder; point it at the folder of the shards")
    above, late = len(source.root.rstrip("/")) + 1, time.time() - SETTLING_SECONDS
    shards, folders = [], dict[str, str]()
    for entry in sorted(source.list(recursive=True), key=lambda entry: entry.path):
        path = entry.path[above:]
        if entry.type != pafs.FileType.File or not path.endswith(".parquet") or re.search(r"(^|/)\.", path):
            continue
        split, folder = _split_of(path), path.rpartition("/")[0]
        if folders.setdefault(split, folder) != folder:
            raise DatasetError(
                f"dataset.root: '{source.shown}' has shards of {split} in {folders[split] or '.'}/ and in "
                f"{folder or '.'}/; point it at the folder of one configuration, or remove one of them"
            )
        settled = entry.mtime_ns is not None and entry.mtime_ns / 1e9 < late
        shards.append(Shard(path, entry.size, split, f"{entry.size} {entry.mtime_ns}" if settled else UNSETTLED))
    if not shards:
        raise DatasetError(
            f"dataset.root: '{source.shown}' has no file that ends in .parquet; point it at the folder of the shards"
        )
    return shards


def _split_of(path: str) -> str:
    """Returns the split that a shard's name begins with, or its folder's is.

    Raises:
        DatasetError: when neither names one.
    """
    *folders, name = path.split("/")
    for word in (re.split(r"[-_.]", name)[0], *reversed(folders)):
        if word.lower() in SPLITS:
            return SPLITS[word.lower()]
    raise DatasetError(
        f"{path}: neither its name nor its folder's says which split it is of; rename it to train-..., "
        "validation-... or test-..., or move it"
    )


def _read_labels(source: Source, path: str, recipe: DatasetRecipe) -> Labels:
    import pyarrow.parquet as pq

    place = f"{source.shown}/{path}"
    try:
        with source.open(path) as stream:
            file = pq.ParquetFile(stream)
            check_columns(file.schema_arrow, place, recipe)
            column = file.read(columns=[recipe.label_column]).column(0)
    except pa.ArrowInvalid as error:
        raise DatasetError(f"{place}: can't be read as Parquet ({error}); fetch it again or remove it") from error
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return Labels(column.combine_chunks(), class_names_of(file.schema_arrow, recipe.label_column))
