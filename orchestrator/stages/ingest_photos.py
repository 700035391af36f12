"""Ingest of photos: every one is read and decoded, and packed where the recipe wants it, in parts (Ray Data).

A part is a run of consecutive photos that one task takes; it holds a few of them at a time, and writes shards of its
own, which it moves into the artifact's folder itself. What is a part depends on the number of photos alone, so that the
artifact is the same whatever the cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
import ray.data

from orchestrator import datasets
from orchestrator.artifacts.photos import Shard, ShardWriter
from orchestrator.artifacts.store import FileRecord, Store
from orchestrator.datasets import FileImages
from orchestrator.datasets.decoding import BrokenImageError, decode_content
from orchestrator.datasets.photos import ChangedPhotoError, Photos, read_in_order
from orchestrator.datasets.shrinking import shrunk
from orchestrator.stages.odd_images import Contents

SHOWN = 5  # changed photos named in an error
PARTS = 64  # at least, where photos suffice: tasks that can run at once
SMALLEST_PART, LARGEST_PART = 256, 8192  # photos; of ImageNet's, the largest have 0.9 GB


@dataclass(frozen=True)
class Packing:
    """Destination of packed photos: a begun artifact of a storage; ``shrink`` is the recipe's."""

    storage: str
    identity: str
    shrink: int | None


@dataclass(frozen=True)
class Part:
    """A part of the photos once it was taken.

    Attributes:
        start: number of its first photo.
        broken: number and reason of each photo that can't be used.
        changed: the photos that are not those that were listed, and how, a line each.
        brightest: the largest value of all pixels.
        digests: of the content of the whole photos, in their order, in hexadecimal digits.
        blank: numbers of the whole photos of a single colour.
        shards: those that hold the other photos, where they are packed.
        placed: the shards' records in the artifact's folder, by name.
    """

    start: int
    broken: Sequence[tuple[int, str]] = ()
    changed: Sequence[str] = ()
    brightest: int = 0
    digests: str = ""
    blank: Sequence[int] = ()
    shards: Sequence[Shard] = ()
    placed: Mapping[str, FileRecord] = field(default_factory=dict)


def take_photos(loaded: FileImages, white_level: float | None, packing: Packing | None) -> list[Part]:
    """Returns all parts of a set in order, each photo read and decoded whole, and packed if it is whole and wanted.

    Raises:
        DatasetError: when photos are not those that were listed, or all are nearly black.
    """
    photos, count = ray.put(loaded.photos), len(loaded.labels)

    def take(rows: dict[str, npt.NDArray[Any]]) -> dict[str, list[Any]]:
        part = take_part(ray.get(photos), int(rows["start"][0]), int(rows["stop"][0]), white_level, packing)
        return {"part": [json.dumps(asdict(part))]}

    ranges = [{"start": part.start, "stop": part.stop} for part in part_ranges(count)]
    taken = ray.data.from_items(ranges, override_num_blocks=len(ranges)).map_batches(take, batch_size=1)
    parts = sorted((_part(row["part"]) for row in taken.iter_rows()), key=lambda part: part.start)
    check_unchanged(parts, count)
    if sum(len(part.broken) for part in parts) < count:
        datasets.check_brightness(max(part.brightest for part in parts))
    return parts


def part_ranges(photos: int) -> list[range]:
    """Returns the numbers of the photos of each part."""
    size = min(LARGEST_PART, max(SMALLEST_PART, -(-photos // PARTS)))
    return [range(start, min(start + size, photos)) for start in range(0, photos, size)]


def take_part(photos: Photos, start: int, stop: int, white_level: float | None, packing: Packing | None) -> Part:
    """Returns the part of photos ``start`` to ``stop``, read, decoded and packed in this process."""
    taken = _Taken(photos, range(start, stop), white_level)
    if packing is None:
        for _ in taken:
            pass
        return taken.part()
    store = Store(packing.storage)
    with store.scratch() as scratch:
        with ShardWriter(scratch, start) as writer:
            for index, content, pixels in taken:
                kept = content if packing.shrink is None else shrunk(content, pixels, packing.shrink)
                writer.add(photos.name(index), kept)
        placed = {shard.file: store.place(scratch / shard.file, packing.identity) for shard in writer.shards}
    return replace(taken.part(), shards=writer.shards, placed=placed)


class _Taken(Iterable[tuple[int, bytes, npt.NDArray[np.uint8]]]):
    """The whole photos among some, as (index, content, pixels); broken and changed ones are noted."""

    def __init__(self, photos: Photos, indices: range, white_level: float | None) -> None:
        self.photos, self.indices, self.white_level = photos, indices, white_level
        self.broken: list[tuple[int, str]] = []
        self.changed: list[str] = []
        self.brightest, self.contents = 0, Contents()

    def __iter__(self) -> Iterator[tuple[int, bytes, npt.NDArray[np.uint8]]]:
        for index, read in read_in_order(self.photos, self.indices):
            try:
                content = read()
                pixels = decode_content(content, self.photos.name(index), self.white_level)
            except BrokenImageError as error:
                self.broken.append((index, error.reason))
                continue
            except ChangedPhotoError as error:
                self.changed.append(f"{error.path}: {error.now}")
                continue
            self.brightest = max(self.brightest, int(pixels.max()))
            self.contents.add(index, content, pixels)
            yield index, content, pixels

    def part(self) -> Part:
        """Returns what was noted, once all photos were taken."""
        return Part(
            self.indices.start, self.broken, self.changed, self.brightest, self.contents.digests.hex(),
            self.contents.blank,
        )  # fmt: skip


def check_unchanged(parts: Sequence[Part], photos: int) -> None:
    """Check that all ``photos`` of a set are those that were listed.

    Raises:
        DatasetError: with the first ones that are not.
    """
    changed = [line for part in parts for line in part.changed]
    if changed:
        more = [f"  and {len(changed) - SHOWN} more"] if len(changed) > SHOWN else []
        raise datasets.DatasetError(
            "\n".join(
                [
                    f"{len(changed):,} of {photos:,} photos are not as they were when the data set was listed:",
                    *(f"  {line}" for line in changed[:SHOWN]),
                    *more,
                    "Run again with --rescan, which lists the set again; what was made from the old one is not used.",
                ]
            )
        )


def contents_of(parts: Sequence[Part]) -> Contents:
    """Returns the content of all whole photos."""
    return Contents(
        bytearray.fromhex("".join(part.digests for part in parts)), [index for part in parts for index in part.blank]
    )


def _part(text: str) -> Part:
    plain = json.loads(text)
    broken = [(index, reason) for index, reason in plain.pop("broken")]
    return Part(broken=broken, shards=[Shard(**shard) for shard in plain.pop("shards")], **plain)
