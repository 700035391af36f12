"""Photos in the buckets of an S3: listed, kept as listed, read by index, also while its network fails."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path

import pytest

from orchestrator.artifacts.photos import PackedPhotos, write_shards
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Store
from orchestrator.datasets import TEST, DatasetError, DatasetRecipe, FileImages, describe, load
from orchestrator.datasets.bucket import Source
from orchestrator.datasets.decoding import decode_content
from orchestrator.datasets.manifests import Manifests
from orchestrator.datasets.photos import ChangedPhotoError, read_in_order
from orchestrator.stages.ingest_photos import Packing, take_part
from orchestrator.storage.storage import Storage, StorageError
from tests.datasets.conftest import write_photos
from tests.datasets.tables import table, write_parquet
from tests.storage.conftest import S3

FOLDERS = {"train/cat": 6, "train/cat/night": 2, "train/dog": 4, "val/cat": 2, "val/dog": 1, "val/.trash": 1}


def upload(s3: S3, folder: Path, name: str) -> str:
    """Copy a folder into the bucket; returns its URI there."""
    Source(s3.uri(name)).upload_folder(folder)
    return s3.uri(name)


def load_photos(recipe: DatasetRecipe, manifests: Manifests | None = None) -> FileImages:
    loaded = load(recipe, manifests)
    assert isinstance(loaded, FileImages)
    return loaded


@pytest.fixture
def photos(s3: S3, tmp_path: Path) -> DatasetRecipe:
    """Photos in the bucket, of which a local copy lies in ``photos`` of the test's folder."""
    write_photos(tmp_path / "photos", FOLDERS)
    (tmp_path / "photos/val/notes.txt").write_text("no photo")
    return DatasetRecipe(name="image_folder", root=upload(s3, tmp_path / "photos", "photos"), validation=2)


def test_a_bucket_is_the_same_set_as_the_folder_that_was_copied_there(photos: DatasetRecipe, tmp_path: Path) -> None:
    local = photos.model_copy(update={"root": str(tmp_path / "photos")})
    assert describe(photos) == describe(local)
    there, here = load_photos(photos), load_photos(local)
    found = pickle.loads(pickle.dumps(there.photos))
    for index in range(len(here.labels)):
        assert found.name(index) == here.photos.name(index)
        assert found.read(index) == here.photos.read(index)


def test_objects_that_are_read_ahead_come_in_order_and_a_lost_one_raises_in_its_place(photos: DatasetRecipe) -> None:
    found = load_photos(photos).photos
    Source(photos.root).filesystem.delete_file("bucket/photos/train/cat/2.jpg")
    contents, lost = {}, []
    for index, content in read_in_order(found, range(len(found))):
        try:
            contents[index] = content()
        except ChangedPhotoError:
            lost.append(index)
    assert lost == [2] and list(contents) == [index for index in range(15) if index != 2]
    assert all(found.read(index) == content for index, content in contents.items())


def test_photos_of_a_bucket_are_packed_as_they_are(photos: DatasetRecipe, tmp_path: Path) -> None:
    found, store = load_photos(photos).photos, Store(str(tmp_path / "runs"))
    part = take_part(found, 0, len(found), None, Packing(store.location, "ingest-0", shrink=None))
    write_shards(Path(store.folder("ingest-0")), part.shards)
    packed = PackedPhotos(FolderFiles(Path(store.folder("ingest-0"))))
    assert [packed.read(index) for index in range(15)] == [found.read(index) for index in range(15)]
    assert not part.broken and not part.changed


def test_a_labels_file_in_a_bucket_is_read(s3: S3, tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", {"train/cat": 6, "train/dog": 4, "val/images": 2})
    (tmp_path / "photos/val/val_annotations.txt").write_text("0.jpg\tdog\n1.jpg\tcat\n")
    recipe = DatasetRecipe(name="image_folder", root=upload(s3, tmp_path / "photos", "photos"), validation=2)
    loaded = load_photos(recipe)
    assert loaded.labels[loaded.subset == TEST].tolist() == [1, 0]
    assert describe(recipe).notes == ()


def test_shards_in_a_bucket_are_read(s3: S3, tmp_path: Path) -> None:
    shards = {"data/train-0.parquet": table([0, 1, 0, 1, 0]), "data/test-0.parquet": table([0, 1])}
    write_parquet(tmp_path / "shards", shards)
    recipe = DatasetRecipe(name="parquet", root=upload(s3, tmp_path / "shards", "shards"), validation=2)
    local = recipe.model_copy(update={"root": str(tmp_path / "shards")})
    assert describe(recipe) == describe(local)
    there, here = load_photos(recipe).photos, load_photos(local).photos
    assert [there.read(index) for index in (6, 0, 4)] == [here.read(index) for index in (6, 0, 4)]


@pytest.mark.parametrize("fault", ["reset", "slow_down"])
def test_reads_wait_until_a_failure_has_passed(fault: str, s3: S3, tmp_path: Path, photos: DatasetRecipe) -> None:
    shards = write_parquet(tmp_path / "shards", {f"{part}.parquet": table([0, 1] * 20) for part in ("train", "test")})
    tables = DatasetRecipe(name="parquet", root=upload(s3, shards, "shards"), validation=2)
    for recipe in (photos, tables):
        found = load_photos(recipe).photos
        found.read(0)
        s3.proxy.mode = fault  # type: ignore[assignment]
        threading.Timer(3, setattr, (s3.proxy, "mode", "pass")).start()
        assert decode_content(found.read(len(found) - 1), "last").shape == (20, 24, 3)


def test_a_bucket_is_as_listed_until_it_is_listed_again(photos: DatasetRecipe, s3: S3, tmp_path: Path) -> None:
    lines: list[str] = []

    def manifests(rescan: bool = False) -> Manifests:
        lines.clear()
        return Manifests(Storage(str(tmp_path / "runs")), rescan=rescan, say=lines.append, warn=lines.append)

    before = describe(photos, manifests())
    assert lines == []
    bucket = Source(photos.root)
    bucket.write_bytes(bucket.read_bytes("train/dog/0.jpg"), "train/dog/new.jpg")
    bucket.write_bytes(b"shorter", "train/cat/0.jpg")
    connections = s3.proxy.connections
    assert describe(photos, manifests()) == before and s3.proxy.connections == connections
    (line,) = lines
    assert line.startswith("dataset: 15 images as listed on 20") and line.endswith("--rescan lists it again")
    with pytest.raises(ChangedPhotoError, match=r"s3://bucket/photos/train/cat/0.jpg: it has 7 bytes, and had"):
        load_photos(photos, manifests()).photos.read(0)
    assert describe(photos, manifests(rescan=True)) != before
    assert lines[0].endswith("1 file (train/dog/new.jpg) added; 1 file (train/cat/0.jpg) changed")


def test_what_is_not_there_is_said_in_one_line(s3: S3, photos: DatasetRecipe) -> None:
    for name in ("image_folder", "parquet"):
        with pytest.raises(DatasetError, match=r"dataset\.root: 's3://bucket/nowhere' is not a folder"):
            describe(DatasetRecipe(name=name, root=s3.uri("nowhere")))
    lost = photos.root.replace(s3.proxy.address, "127.0.0.1:1")
    with pytest.raises(StorageError, match=r"dataset\.root 's3://.* does not answer"):
        describe(DatasetRecipe(name="parquet", root=lost))


@pytest.mark.parametrize("name", ["image_folder", "parquet"])
def test_a_password_in_the_uri_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="holds a password, which the report would show"):
        DatasetRecipe(name=name, root="s3://key:secret@bucket/photos")
