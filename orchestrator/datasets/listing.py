"""A listed set of photos: its files with their labels, in the form in which it is kept in the storage.

A listing is one Parquet file with a row a file of the set. The metadata of its schema have what a plan needs
(``Manifest``), so that a set of a million photos is described without reading a row.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import TypeAdapter

from orchestrator.datasets import decoding
from orchestrator.datasets.checks import count_by_part
from orchestrator.datasets.folders import printable

VERSION = 1
METADATA = b"manifest"
SHOWN = 3  # files named in a sentence

FILES = pa.schema(
    {"path": pa.binary(), "size": pa.int64(), "subset": pa.uint8(), "labels": pa.list_(pa.field("label", pa.int32()))}
)
"""Columns of a listing: path from the root as the file system's bytes, bytes, part of the set, the images' labels."""


@dataclass(frozen=True)
class Manifest:
    """Metadata of a listed set.

    Attributes:
        class_names: one name a class, in the order of the labels.
        counts: images by part (training, validation, test) and class, (3, classes), before validation is cut.
        fingerprint: as ``DatasetInfo`` has it.
        notes: sentences on what was left out.
        stamps: texts by path that tell whether the set may have changed; empty where no cheap ones exist.
        listed: when it was listed, in unix seconds.
        version, decoder: those that the listing was made with; another one is not used.
    """

    class_names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    fingerprint: str
    notes: tuple[str, ...]
    stamps: dict[str, str]
    listed: float
    version: int = VERSION
    decoder: int = decoding.VERSION

    @property
    def images(self) -> int:
        """Images in all."""
        return sum(map(sum, self.counts))


_MANIFEST = TypeAdapter(Manifest)


@dataclass(frozen=True)
class Listing:
    """A manifest, and the set's files in the order of their images: a table of the schema ``FILES``."""

    manifest: Manifest
    files: pa.Table


def table_of(paths: Sequence[bytes], sizes: Sequence[int], subset: Sequence[int], labels: pa.Array) -> pa.Table:
    """Returns the table of a listing; ``labels`` is a list of int32 a file."""
    return pa.table([pa.array(paths, pa.binary()), pa.array(sizes, pa.int64()), pa.array(subset, pa.uint8()), labels],
                    schema=FILES)  # fmt: skip


def one_each(labels: Sequence[int]) -> pa.Array:
    """Returns the labels of files that have one image each, for ``table_of``."""
    values = pa.array(labels, pa.int32())
    return pa.ListArray.from_arrays(np.arange(len(labels) + 1, dtype=np.int32), values, type=FILES.field("labels").type)


def labels_of(files: pa.Table) -> NDArray[np.int64]:
    """Returns the class of each image of a listing, (N,)."""
    found: NDArray[np.int64] = files["labels"].combine_chunks().flatten().to_numpy().astype(np.int64)
    return found


def subset_of(files: pa.Table) -> NDArray[np.uint8]:
    """Returns the part of the set that each image of a listing belongs to, (N,)."""
    return np.repeat(files["subset"].to_numpy(), images_of(files))


def images_of(files: pa.Table) -> NDArray[np.int64]:
    """Returns the number of images in each file of a listing."""
    found: NDArray[np.int64] = pc.list_value_length(files["labels"]).to_numpy().astype(np.int64)
    return found


def counts_of(files: pa.Table, classes: int) -> tuple[tuple[int, ...], ...]:
    """Returns the images of a listing by part and class, (3, classes)."""
    counts = count_by_part(labels_of(files), subset_of(files), classes)
    return tuple(tuple(row) for row in counts.tolist())


def encode(listing: Listing) -> bytes:
    """Returns a listing as the content of a file."""
    import pyarrow.parquet as pq

    metadata = {METADATA: json.dumps(asdict(listing.manifest)).encode()}
    target = io.BytesIO()
    pq.write_table(
        listing.files.replace_schema_metadata(metadata), target, compression="zstd", store_schema=True,
        use_dictionary=["subset"], column_encoding={"path": "DELTA_BYTE_ARRAY"},
    )  # fmt: skip
    return target.getvalue()


def read_manifest(file: pa.NativeFile) -> Manifest:
    """Returns the metadata of a listing's file.

    Raises:
        ValueError: when it is none, or one of another version.
    """
    import pyarrow.parquet as pq

    metadata: dict[bytes, bytes] = pq.read_schema(file).metadata or {}
    found = _MANIFEST.validate_python(json.loads(metadata.get(METADATA, b"null")))
    if (found.version, found.decoder) != (VERSION, decoding.VERSION):
        raise ValueError("a listing of another version")
    return found


def read_listing(file: pa.NativeFile) -> Listing:
    """Returns the listing in a file.

    Raises:
        ValueError: as ``read_manifest``.
    """
    import pyarrow.parquet as pq

    return Listing(read_manifest(file), pq.read_table(file).replace_schema_metadata(None))


def changes(before: pa.Table, after: pa.Table) -> list[str]:
    """Returns a sentence each on the files that a second listing adds, lacks and has changed; empty if none."""
    known = pc.index_in(after["path"], value_set=before["path"].combine_chunks())
    same = after.filter(pc.is_valid(known))
    earlier = before.take(known.drop_null())
    gone = pc.invert(pc.is_in(before["path"], value_set=after["path"].combine_chunks()))
    changed = np.zeros(len(same), bool)
    for column in ("size", "subset"):
        changed |= same[column].to_numpy() != earlier[column].to_numpy()
    changed |= _differ(same["labels"].combine_chunks(), earlier["labels"].combine_chunks())
    found = {
        "added": after.filter(pc.is_null(known)),
        "removed": before.filter(gone),
        "changed": same.filter(pa.array(changed)),
    }
    return [f"{_some(files)} {what}" for what, files in found.items() if len(files)]


def _differ(labels: Any, others: Any) -> NDArray[np.bool_]:
    """Returns which lists of the one array are not those of the other."""
    if labels.equals(others):
        return np.zeros(len(labels), bool)
    return np.array([one != other for one, other in zip(labels, others, strict=True)], bool)


def _some(files: pa.Table) -> str:
    names = [printable(path.decode("utf-8", "surrogateescape")) for path in files["path"][:SHOWN].to_pylist()]
    more = ", ..." if len(files) > SHOWN else ""
    return f"{len(files):,} {'file' if len(files) == 1 else 'files'} ({', '.join(names)}{more})"
