"""Packed photos: read by index as they were written, whatever the shards."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from orchestrator.artifacts.photos import ROWS, PackedPhotos, ShardWriter, write_shards
from orchestrator.artifacts.reading import Files, FolderFiles, StoredFiles
from orchestrator.artifacts.store import Store
from tests.artifacts.stores import record


def contents(count: int) -> list[bytes]:
    generator = np.random.default_rng(0)
    return [generator.bytes(int(size)) for size in generator.integers(0, 2_000, count)]


def write(folder: Path, runs: list[list[bytes]], shard_bytes: int) -> None:
    """Photos in consecutive runs, each written by a writer of its own."""
    shards, first = [], 0
    for photos in runs:
        with ShardWriter(folder, first, shard_bytes) as writer:
            for number, content in enumerate(photos, first):
                writer.add(f"{number}.jpg", content)
        shards += writer.shards
        first += len(photos)
    write_shards(folder, shards)


@settings(max_examples=30)
@given(sizes=some.lists(some.integers(0, 3 * ROWS + 1), min_size=1, max_size=4), shard_bytes=some.integers(1, 100_000))
def test_every_photo_is_read_by_its_number(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], shard_bytes: int
) -> None:
    folder, photos = tmp_path_factory.mktemp("packed"), contents(sum(sizes))
    ends = np.cumsum(sizes).tolist()
    write(folder, [photos[end - size : end] for size, end in zip(sizes, ends, strict=True)], shard_bytes)
    packed = PackedPhotos(FolderFiles(folder))
    assert len(packed) == len(photos)
    for number in reversed(range(len(photos))):
        assert packed.read(number) == photos[number] and packed.name(number) == f"{number}.jpg"
    for outside in (-1, len(photos)):
        with pytest.raises(IndexError, match=f"photo {outside} of"):
            packed.read(outside)


def test_a_shard_ends_once_it_is_large_enough(tmp_path: Path) -> None:
    write(tmp_path, [[bytes(100)] * 4 * ROWS], 150 * ROWS)
    assert [shard.photos for shard in PackedPhotos(FolderFiles(tmp_path)).shards] == [2 * ROWS, 2 * ROWS]


def test_the_same_photos_make_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, [contents(100)], 10_000)
    files = [sorted((path.name, path.read_bytes()) for path in (tmp_path / name).iterdir()) for name in ("a", "b")]
    assert files[0] == files[1]


def test_names_that_are_not_utf_8_are_shown_escaped(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, 0) as writer:
        writer.add("train/\udcff.jpg", b"x")
    write_shards(tmp_path, writer.shards)
    assert PackedPhotos(FolderFiles(tmp_path)).name(0) == "train/\\xff.jpg"


def test_photos_with_open_shards_are_pickled_as_a_place(tmp_path: Path) -> None:
    write(tmp_path, [[bytes(10_000)] * 100], 100_000)
    packed = PackedPhotos(FolderFiles(tmp_path))
    assert packed.read(50)
    pickled = pickle.dumps(packed)
    assert len(pickled) < 2_000
    assert pickle.loads(pickled).read(50) == packed.read(50)


def test_photos_are_read_where_they_lie_in_a_storage(store: Store) -> None:
    photos = contents(70)
    with store.scratch() as scratch:
        write(scratch, [photos], 20_000)
        store.commit(record(), scratch)
    files: Files = StoredFiles(store, record().identity)
    packed = PackedPhotos(files)
    assert [packed.read(number) for number in (0, 69, 33)] == [photos[0], photos[69], photos[33]]
