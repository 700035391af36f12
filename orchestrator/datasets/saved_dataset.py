"""``saved_dataset``: the folder that ``DatasetDict.save_to_disk`` of Hugging Face's ``datasets`` writes.

``dataset_dict.json`` lists the splits. Each is a folder with ``state.json``, which lists the split's shards, files in
Arrow's stream format. They are read with pyarrow, mapped into memory; ``datasets`` is not needed.
"""

from __future__ import annotations

import json
import os
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.datasets.folders import refused_by_name, stamp
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

SPLIT_LIST, SHARD_LIST = "dataset_dict.json", "state.json"
OPEN = 8  # shards that a process maps at once


def scan(recipe: DatasetRecipe) -> Listing:
    """Returns the shards with their labels; no image is read. The fingerprint is as ``parquet`` has it."""
    began, shards = time.time(), _find_shards(recipe)
    labels = [_read_labels(Path(recipe.root, shard.path), recipe) for shard in shards]
    return listing_of(recipe, shards, labels, began)


def stamps(recipe: DatasetRecipe, known: Manifest) -> dict[str, str]:
    """Returns size and time of each shard."""
    return {shard.path: shard.stamp for shard in _find_shards(recipe)}


def photos(recipe: DatasetRecipe, listing: Listing) -> Photos:
    """Returns the photos, mapped from their shards."""
    return ArrowPhotos(recipe.root, recipe.image_column, listing)


class ArrowPhotos(TablePhotos):
    """Photos in files of Arrow's stream format on a mounted file system."""

    def value(self, shard: str, row: int, size: int) -> object:
        path = f"{self.root}/{shard}"
        check_size(path, os.stat(path).st_size, size)
        return _mapped(path).column(self.column)[row].as_py()


@lru_cache(maxsize=OPEN)
def _mapped(path: str) -> pa.Table:
    """Returns a shard's table; its values stay in the file until they are used.

    Raises:
        DatasetError: when the file can't be read.
    """
    with refused_by_name(Path(path)):
        try:
            return pa.ipc.open_stream(pa.memory_map(path)).read_all()
        except pa.ArrowInvalid as error:
            raise DatasetError(f"{path}: can't be read as Arrow ({error}); save the data set again") from error


def _find_shards(recipe: DatasetRecipe) -> list[Shard]:
    root = Path(recipe.root)
    if not (root / SPLIT_LIST).is_file():
        single = (root / SHARD_LIST).is_file()
        found = "a data set of a single split" if single else f"no {SPLIT_LIST}"
        raise DatasetError(
            f"dataset.root: '{root}' has {found}; save a DatasetDict with the splits train and test by save_to_disk"
        )
    shards = []
    for name in _read_json(root / SPLIT_LIST, "splits"):
        if name not in SPLITS:
            raise DatasetError(
                f"{root / SPLIT_LIST}: a split named {name!r}; save it as train, validation or test, or leave it out"
            )
        for entry in _read_json(root / name / SHARD_LIST, "_data_files"):
            path = root / name / entry["filename"]
            with refused_by_name(path):
                shards.append(Shard(f"{name}/{entry['filename']}", path.stat().st_size, SPLITS[name], stamp(path)))
    return shards


def _read_json(path: Path, field: str) -> list[Any]:
    with refused_by_name(path):
        text = path.read_text()
    try:
        return list(json.loads(text)[field])
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path}: can't be read ({error!r}); save the data set again by save_to_disk") from error


def _read_labels(path: Path, recipe: DatasetRecipe) -> Labels:
    table = _mapped(str(path))
    check_columns(table.schema, str(path), recipe)
    column = table.column(recipe.label_column)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return Labels(column.combine_chunks(), class_names_of(table.schema, recipe.label_column))
