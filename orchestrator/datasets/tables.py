"""Photos and labels in columns of tables, in shards: the part that ``parquet`` and ``saved_dataset`` share.

A column of images holds encoded images, as bytes or as structures with a field ``bytes``, which is how Hugging Face's
``datasets`` stores them. Labels are integers, whose names are in the metadata of a shard's schema, or texts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from orchestrator.datasets import decoding
from orchestrator.datasets.bucket import shown
from orchestrator.datasets.decoding import BrokenImageError
from orchestrator.datasets.listing import FILES, Listing, Manifest, counts_of, images_of, table_of
from orchestrator.datasets.photos import ChangedPhotoError, Paths
from orchestrator.datasets.spec import TEST, TRAIN, VALIDATION, DatasetError, DatasetRecipe

UNLABELLED = -1  # what the hub stores as the label of images whose class is kept secret
SHOWN = 5  # columns, classes and rows named in an error
BYTES = "bytes"
SPLITS = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
"""Names of splits in paths, and the part of the set that each is."""


@dataclass(frozen=True)
class Shard:
    """A file of a set: path from the root, size in bytes, split (a value of ``SPLITS``), and its stamp."""

    path: str
    size: int
    split: str
    stamp: str


@dataclass(frozen=True)
class Labels:
    """The column of labels of a shard, and the class names that its schema declares, if it does."""

    values: pa.Array
    names: tuple[str, ...] | None


def check_columns(schema: pa.Schema, place: str, recipe: DatasetRecipe) -> None:
    """Check that a shard has the columns of images and labels.

    Raises:
        DatasetError: when one is missing or of another type; ``place`` is the shard in messages.
    """
    for field in ("image_column", "label_column"):
        name = getattr(recipe, field)
        if name not in schema.names:
            there = ", ".join(schema.names[:SHOWN])
            raise DatasetError(f"{place}: no column {name!r}; set dataset.{field} to one of its columns: {there}")
    image = schema.field(recipe.image_column).type
    if not _is_binary(image) and not (pa.types.is_struct(image) and image.get_field_index(BYTES) >= 0):
        raise DatasetError(
            f"{place}: column {recipe.image_column!r} is of type {image}; the images must be encoded (JPEG, PNG ...), "
            "as binary values or in structures with a field 'bytes'. dataset.image_column names another column"
        )
    label = schema.field(recipe.label_column).type
    if pa.types.is_dictionary(label):
        label = label.value_type
    if not (pa.types.is_integer(label) or pa.types.is_string(label) or pa.types.is_large_string(label)):
        raise DatasetError(
            f"{place}: column {recipe.label_column!r} is of type {label}; labels must be whole numbers or texts, one "
            "an image. dataset.label_column names another column"
        )


def class_names_of(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """Returns the names that the metadata of ``datasets`` declare for a column of class numbers; None without any."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) else None


def listing_of(
    recipe: DatasetRecipe, shards: Sequence[Shard], found: Sequence[Labels], began: float
) -> Listing:  # fmt: skip
    """Returns the listing of a set whose ``shards`` have the labels ``found``; listed at ``began``, in unix seconds.

    A split without labels is left out. Of the others, train is for training; with both validation and test each is used
    as such, and a single one is the test set.

    Raises:
        DatasetError: when a split that is needed is missing, or labels don't fit the classes.
    """
    kept: list[tuple[Shard, Labels]] = []
    unlabelled: Counter[str] = Counter()
    for shard, labels in zip(shards, found, strict=True):
        if _is_labelled(labels.values):
            kept.append((shard, labels))
        else:
            unlabelled[shard.split] += len(labels.values)
    subset = _subset_of({shard.split for shard, _ in kept}, recipe)
    kept.sort(key=lambda pair: (subset[pair[0].split], pair[0].path))
    names, numbers = _numbered(kept, recipe)
    lists = pa.ListArray.from_arrays(
        np.cumsum([0, *map(len, numbers)]).astype(np.int32),
        pa.array(np.concatenate(numbers).astype(np.int32)), type=FILES.field("labels").type,
    )  # fmt: skip
    files = table_of(
        [os.fsencode(shard.path) for shard, _ in kept], [shard.size for shard, _ in kept],
        [subset[shard.split] for shard, _ in kept], lists,
    )  # fmt: skip
    manifest = Manifest(
        class_names=names,
        counts=counts_of(files, len(names)),
        fingerprint=_fingerprint(files, names, recipe),
        notes=tuple(
            f"images left out of the split {split}, which has no labels: {count:,}"
            for split, count in (+unlabelled).items()
        ),
        stamps={shard.path: shard.stamp for shard in shards},
        listed=began,
    )
    return Listing(manifest, files)


class TablePhotos:
    """Photos in a column of shards: base of those of one format, which read a row's value."""

    def __init__(self, root: str, column: str, listing: Listing) -> None:
        self.root, self.column = root, column
        self._shards, self._sizes = Paths(listing.files["path"]), listing.files["size"].to_numpy()
        self._ends: NDArray[np.int64] = np.cumsum(images_of(listing.files))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def name(self, index: int) -> str:
        """Returns the row, from 0, and the shard's path."""
        shard, row = self._locate(index)
        return f"row {row} of {self._shards[shard]}"

    def read(self, index: int) -> bytes:
        """Returns the encoded image of a row.

        Raises:
            BrokenImageError: when the row has none.
            ChangedPhotoError: when the shard is not the one that was listed.
        """
        shard, row = self._locate(index)
        value = self.value(self._shards[shard], row, int(self._sizes[shard]))
        content = value.get(BYTES) if isinstance(value, dict) else value
        if isinstance(content, bytes):
            return content
        path = value.get("path") if isinstance(value, dict) else None
        raise BrokenImageError(self.name(index), f"no image, only the path {path}" if path else "no image")

    def value(self, shard: str, row: int, size: int) -> object:
        """Returns the value of the column of images: bytes, a mapping with ``bytes``, or None.

        Args:
            shard: path from the root.
            row: number of the row in it.
            size: bytes that the shard had when it was listed; ``check_size`` compares.
        """
        raise NotImplementedError

    def _locate(self, index: int) -> tuple[int, int]:
        shard = int(np.searchsorted(self._ends, index, side="right"))
        return shard, index - int(self._ends[shard - 1] if shard else 0)


def check_size(path: str, now: int, listed: int) -> None:
    """Check that a shard has the bytes that it had when it was listed.

    Raises:
        ChangedPhotoError: when it has not.
    """
    if now != listed:
        raise ChangedPhotoError(path, f"it has {now:,} bytes, and had {listed:,}")


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_labelled(values: pa.Array) -> bool:
    if values.null_count == len(values):
        return False
    return not (pa.types.is_integer(values.type) and pc.max(values).as_py() == UNLABELLED)


def _subset_of(splits: set[str], recipe: DatasetRecipe) -> dict[str, int]:
    root = shown(recipe.root)
    there = f"dataset.root: '{root}' has the splits {', '.join(sorted(splits)) or 'none'} with labels"
    if "train" not in splits:
        raise DatasetError(f"{there}; a split named train is needed")
    held_out = [split for split in ("validation", "test") if split in splits]
    if not held_out:
        raise DatasetError(
            f"{there}; final accuracy needs images that no network has seen: add a split named validation or test"
        )
    if len(held_out) == 1:
        return {"train": TRAIN, held_out[0]: TEST}
    return {"train": TRAIN, "validation": VALIDATION, "test": TEST}


def _numbered(
    kept: Sequence[tuple[Shard, Labels]], recipe: DatasetRecipe
) -> tuple[tuple[str, ...], list[NDArray[np.int64]]]:  # fmt: skip
    """Returns the class names, and the class of each image by shard."""
    root = shown(recipe.root)
    for shard, labels in kept:
        if labels.values.null_count:
            raise DatasetError(
                f"{root}/{shard.path}: {labels.values.null_count:,} of {len(labels.values):,} images have no "
                f"label in column {recipe.label_column!r}; label them or remove the rows"
            )
    declared = {labels.names for _, labels in kept}
    if len(declared) > 1:
        raise DatasetError(
            f"dataset.root: '{root}': shards declare different classes for {recipe.label_column!r}; write them "
            "from one data set, with the same features"
        )
    names = declared.pop()
    if names is not None and all(pa.types.is_integer(labels.values.type) for _, labels in kept):
        numbers = [labels.values.to_numpy(zero_copy_only=False).astype(np.int64) for _, labels in kept]
        for (shard, _), values in zip(kept, numbers, strict=True):
            outside = values[(values < 0) | (values >= len(names))]
            if len(outside):
                raise DatasetError(
                    f"{root}/{shard.path}: {len(outside):,} labels outside 0 to {len(names) - 1}, such as "
                    f"{outside[0]}; its schema names {len(names)} classes"
                )
    else:
        names, numbers = _by_value(kept, recipe)
    if len(names) < 2:
        raise DatasetError(f"dataset.root: '{root}': {len(names)} classes found; at least 2 are needed")
    return names, numbers


def _by_value(
    kept: Sequence[tuple[Shard, Labels]], recipe: DatasetRecipe
) -> tuple[tuple[str, ...], list[NDArray[np.int64]]]:  # fmt: skip
    """Numbers labels that have no declared names, in the order of the values in the training split."""
    known = pc.unique(pa.chunked_array([labels.values for shard, labels in kept if shard.split == "train"]))
    known = known.take(pc.sort_indices(known))
    numbers = []
    for shard, labels in kept:
        found = pc.index_in(labels.values, value_set=known)
        if found.null_count:
            root, others = shown(recipe.root), pc.unique(labels.values.filter(pc.is_null(found))).to_pylist()
            raise DatasetError(
                f"{root}/{shard.path}: classes that the split train lacks: "
                f"{', '.join(map(str, others[:SHOWN]))}; add them there or remove their rows here"
            )
        numbers.append(found.to_numpy(zero_copy_only=False).astype(np.int64))
    return tuple(str(value) for value in known.to_pylist()), numbers


def _fingerprint(files: pa.Table, names: Sequence[str], recipe: DatasetRecipe) -> str:
    known: Mapping[str, Any] = {
        "decoder": decoding.VERSION, "image": recipe.image_column, "label": recipe.label_column, "classes": list(names),
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for path, size, subset, labels in zip(*(files[column] for column in FILES.names), strict=True):
        digest.update(f"\0{size.as_py()}\0{subset.as_py()}\0".encode() + path.as_py())
        digest.update(labels.values.to_numpy().tobytes())
    return digest.hexdigest()
