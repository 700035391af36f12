"""Photos in parts: read, checked and packed, the same whatever the parts and the cluster."""

from __future__ import annotations

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.artifacts import dataset
from orchestrator.artifacts.dataset import Oddity
from orchestrator.artifacts.photos import PackedPhotos, write_shards
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Store, file_sha256
from orchestrator.datasets import TEST, TRAIN, DatasetError, DatasetInfo, DatasetRecipe, FileImages
from orchestrator.datasets.decoding import decode_content
from orchestrator.datasets.photos import FolderPhotos
from orchestrator.datasets.shrinking import shrunk
from orchestrator.stages import ingest
from orchestrator.stages.ingest_photos import LARGEST_PART, Packing, Part, check_unchanged, part_ranges, take_part

COUNT = 70
BROKEN = (3, 64)


def jpeg(width: int, height: int, brightest: int = 255) -> bytes:
    pixels = np.linspace(0, brightest, height * width * 3).reshape(height, width, 3).astype(np.uint8)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "JPEG")
    return target.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> FolderPhotos:
    """Photos of rising size, of which two are cut off."""
    (tmp_path / "photos").mkdir()
    names = [f"{number:02d}.jpg" for number in range(COUNT)]
    for number, name in enumerate(names):
        content = jpeg(20 + number, 40)
        (tmp_path / "photos" / name).write_bytes(content[: len(content) // 2] if number in BROKEN else content)
    return FolderPhotos(str(tmp_path / "photos"), names)


def packed(store: Store, parts: list[Part], folder: Path) -> PackedPhotos:
    """The photos of parts that lie in the store's artifact ``ingest-0``."""
    write_shards(folder, (shard for part in parts for shard in part.shards))
    return PackedPhotos(FolderFiles(folder))


def test_whole_photos_are_packed_as_they_were_and_broken_ones_named(photos: FolderPhotos, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "runs"))
    packing = Packing(store.location, "ingest-0", shrink=None)
    parts = [take_part(photos, start, min(start + 50, COUNT), None, packing) for start in (0, 50)]
    assert [index for part in parts for index, _ in part.broken] == list(BROKEN)
    assert all("truncated" in reason.lower() for part in parts for _, reason in part.broken)
    folder = Path(store.folder("ingest-0"))
    found = packed(store, parts, folder)
    kept = [number for number in range(COUNT) if number not in BROKEN]
    assert [found.read(row) for row in range(len(found))] == [photos.read(number) for number in kept]
    assert [found.name(row) for row in range(len(found))] == [photos.name(number) for number in kept]
    for part in parts:
        for name, record in part.placed.items():
            file = folder / name
            assert record == {"sha256": file_sha256(file), "bytes": file.stat().st_size}


def test_photos_that_are_not_packed_are_checked_alike(photos: FolderPhotos, tmp_path: Path) -> None:
    packing = Packing(str(tmp_path / "runs"), "ingest-0", shrink=None)
    checked, packed = (take_part(photos, 0, COUNT, None, where) for where in (None, packing))
    assert (checked.broken, checked.brightest, checked.digests) == (packed.broken, packed.brightest, packed.digests)
    assert not checked.shards and not checked.placed


def test_photos_are_packed_in_a_smaller_size_where_the_recipe_says(photos: FolderPhotos, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "runs"))
    part = take_part(photos, 0, COUNT, None, Packing(store.location, "ingest-0", shrink=24))
    found = packed(store, [part], Path(store.folder("ingest-0")))
    kept = [number for number in range(COUNT) if number not in BROKEN]
    for row, number in enumerate(kept):
        height, width, _ = decode_content(found.read(row), "a photo").shape
        assert min(height, width) == min(24, 20 + number)


@pytest.mark.parametrize(("size", "small"), [((100, 50), (48, 24)), ((50, 100), (24, 48)), ((101, 40), (61, 24))])
def test_a_smaller_photo_keeps_its_shape_and_look(size: tuple[int, int], small: tuple[int, int]) -> None:
    content = jpeg(*size)
    pixels = decode_content(content, "a photo")
    found = decode_content(shrunk(content, pixels, 24), "a photo")
    assert found.shape == (small[1], small[0], 3)
    np.testing.assert_allclose(found.mean(axis=(0, 1)), pixels.mean(axis=(0, 1)), atol=2)


def test_a_photo_that_is_small_enough_keeps_its_bytes() -> None:
    content = jpeg(100, 24)
    assert shrunk(content, decode_content(content, "a photo"), 24) is content


@pytest.mark.parametrize("photos", [1, 255, 256, 257, 5_000, 20_000, 1_331_167])
def test_parts_are_all_photos_in_turn_and_enough_for_a_cluster(photos: int) -> None:
    parts = part_ranges(photos)
    assert [number for part in parts for number in (part.start, part.stop)][1:-1:2] == [p.start for p in parts[1:]]
    assert (parts[0].start, parts[-1].stop) == (0, photos)
    assert max(len(part) for part in parts) <= LARGEST_PART
    assert len(parts) >= min(63, photos // 256)


def test_photos_that_are_not_those_that_were_listed_are_refused_by_name(photos: FolderPhotos) -> None:
    sizes = np.array([os.path.getsize(f"{photos.root}/{path}") for path in photos.paths])
    os.remove(f"{photos.root}/07.jpg")
    with open(f"{photos.root}/09.jpg", "ab") as file:
        file.write(b"more")
    part = take_part(FolderPhotos(photos.root, photos.paths, sizes), 0, COUNT, None, None)
    assert [index for index, _ in part.broken] == list(BROKEN)
    with pytest.raises(DatasetError) as refused:
        check_unchanged([part], COUNT)
    first, lost, longer, advice = str(refused.value).splitlines()
    assert first == "2 of 70 photos are not as they were when the data set was listed:"
    assert lost == f"  {photos.root}/07.jpg: it is no longer there"
    assert longer == f"  {photos.root}/09.jpg: it has {sizes[9] + 4:,} bytes, and had {sizes[9]:,}"
    assert "--rescan" in advice


def test_photos_that_occur_twice_and_blank_ones_are_counted_and_named(photos: FolderPhotos, tmp_path: Path) -> None:
    for original, copy in (("00", "05"), ("00", "69"), ("10", "66")):
        shutil.copy(f"{photos.root}/{original}.jpg", f"{photos.root}/{copy}.jpg")
    Image.new("RGB", (30, 30), "gold").save(f"{photos.root}/20.jpg")
    subset = np.full(COUNT, TRAIN, np.uint8)
    subset[65:] = TEST
    labels = np.arange(COUNT, dtype=np.int64) % 2
    loaded = FileImages(photos, photos.root, labels, subset, class_names=("a", "b"))
    info = DatasetInfo(classes=2, image_shape=(3, 32, 32), fingerprint="f", train_images=65, test_images=5)
    recipe = DatasetRecipe(name="image_folder", root=photos.root, skip_broken=True)
    parts = [take_part(photos, start, min(start + 50, COUNT), None, None) for start in (0, 50)]
    assert ingest.write(tmp_path, loaded, info, recipe, parts).odd_images == {
        "leaked": Oddity(2, ("66.jpg is 10.jpg", "69.jpg is 00.jpg")),
        "repeated": Oddity(1, ("05.jpg is 00.jpg",)),
        "blank": Oddity(1, ("20.jpg",)),
    }


def test_label_noise_is_in_the_stored_training_labels_of_whole_photos_alone(
    photos: FolderPhotos, tmp_path: Path
) -> None:
    subset = np.where(np.arange(COUNT) < 50, TRAIN, TEST).astype(np.uint8)
    labels = np.arange(COUNT, dtype=np.int64) % 3
    loaded = FileImages(photos, photos.root, labels, subset, class_names=("a", "b", "c"))
    info = DatasetInfo(classes=3, image_shape=(3, 32, 32), fingerprint="f", train_images=50, test_images=20)
    recipe = DatasetRecipe(name="image_folder", root=photos.root, skip_broken=True, label_noise=0.5)
    about = ingest.write(tmp_path, loaded, info, recipe, [take_part(photos, 0, COUNT, None, None)])
    kept = np.delete(np.arange(COUNT), BROKEN)
    wrong = dataset.read_labels(FolderFiles(tmp_path)) != labels[kept]
    assert about.counts.train == 49 and about.counts.wrong_labels == wrong.sum() == 25
    assert np.all(subset[kept][wrong] == TRAIN)
