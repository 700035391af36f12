"""Kept listings: when they are used, when a set is listed again, and what is said of it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from orchestrator.datasets import (
    DatasetError,
    DatasetRecipe,
    FileImages,
    describe,
    folders,
    image_folder,
    load,
    parquet,
)
from orchestrator.datasets.listing import Listing, Manifest, changes, counts_of, encode, one_each, table_of
from orchestrator.datasets.manifests import FOLDER, Manifests, file_name
from orchestrator.datasets.photos import ChangedPhotoError
from orchestrator.storage.storage import Storage
from tests.datasets.conftest import MakeFolder
from tests.datasets.tables import table, write_parquet

FOLDERS = {"train/cat": 6, "train/dog": 4, "val/cat": 2, "val/dog": 1}


class Command:
    """One command after another over one storage, each with the lines that it prints."""

    def __init__(self, storage: Path) -> None:
        self.storage, self.lines = storage, list[str]()

    def manifests(self, **options: bool) -> Manifests:
        self.lines = []
        return Manifests(Storage(str(self.storage)), say=self.lines.append, warn=self.lines.append, **options)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path / "runs")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of files count at once, not after two seconds."""
    monkeypatch.setattr(folders, "SETTLING_SECONDS", 0.0)
    monkeypatch.setattr(parquet, "SETTLING_SECONDS", 0.0)


@pytest.fixture
def listings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Takes the root of every image_folder that is listed."""
    found, scan = list[str](), image_folder.scan

    def counted(recipe: DatasetRecipe) -> Listing:
        found.append(recipe.root)
        return scan(recipe)

    monkeypatch.setattr(image_folder, "scan", counted)
    return found


def recipe_of(root: Path) -> DatasetRecipe:
    return DatasetRecipe(name="image_folder", root=str(root), validation=2)


@pytest.mark.usefixtures("settled")
def test_a_set_is_listed_once_and_later_commands_see_the_same(
    command: Command, make_image_folder: MakeFolder, listings: list[str]
) -> None:
    recipe = recipe_of(make_image_folder(FOLDERS))
    first, again = describe(recipe, command.manifests()), describe(recipe, command.manifests())
    assert first == again == describe(recipe)
    loaded, expected = load(recipe, command.manifests()), load(recipe)
    assert isinstance(loaded, FileImages) and isinstance(expected, FileImages)
    np.testing.assert_array_equal(loaded.subset, expected.subset)
    np.testing.assert_array_equal(loaded.labels, expected.labels)
    assert [loaded.photos.name(index) for index in range(13)] == [expected.photos.name(index) for index in range(13)]
    assert len(listings) == 3  # one for the storage, and two without one
    assert command.lines == []


@pytest.mark.usefixtures("settled")
def test_a_root_by_another_path_is_the_same_set(
    command: Command, make_image_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch, listings: list[str]
) -> None:
    root = make_image_folder(FOLDERS)
    describe(recipe_of(root), command.manifests())
    monkeypatch.chdir(root.parent)
    describe(recipe_of(Path(root.name)), command.manifests())
    assert len(listings) == 1


def add(root: Path) -> None:
    shutil.copy(root / "train/cat/0.jpg", root / "train/cat/new.jpg")


def remove(root: Path) -> None:
    (root / "val/cat/0.jpg").unlink()


def replace(root: Path) -> None:
    longer = root / "longer"
    longer.write_bytes((root / "train/dog/1.jpg").read_bytes() + b"\0")
    longer.rename(root / "train/dog/1.jpg")


def add_a_class(root: Path) -> None:
    for part in ("train", "val"):
        shutil.copytree(root / part / "cat", root / part / "emu")


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (add, "1 file (train/cat/new.jpg) added"),
        (remove, "1 file (val/cat/0.jpg) removed"),
        (replace, "1 file (train/dog/1.jpg) changed"),
        (add_a_class, "8 files (train/emu/0.jpg, train/emu/1.jpg, train/emu/2.jpg, ...) added"),
    ],
)
def test_a_set_whose_folders_have_changed_is_listed_again_and_the_change_is_said(
    change: Callable[[Path], None], said: str, command: Command, make_image_folder: MakeFolder
) -> None:
    root = make_image_folder(FOLDERS)
    before = describe(recipe_of(root), command.manifests())
    change(root)
    after = describe(recipe_of(root), command.manifests())
    assert command.lines == [f"dataset: {root} has changed since it was listed: {said}"]
    assert after == describe(recipe_of(root)) and after.fingerprint != before.fingerprint
    describe(recipe_of(root), command.manifests())
    assert command.lines == []


def test_folders_that_have_just_changed_are_not_trusted(
    command: Command, make_image_folder: MakeFolder, listings: list[str]
) -> None:
    recipe = recipe_of(make_image_folder(FOLDERS))
    for _ in range(2):
        describe(recipe, command.manifests())
    assert len(listings) == 2


@pytest.mark.usefixtures("settled")
def test_a_file_that_was_written_over_is_found_by_a_rescan_and_when_it_is_read(
    command: Command, make_image_folder: MakeFolder
) -> None:
    root = make_image_folder(FOLDERS)
    before = describe(recipe_of(root), command.manifests())
    with open(root / "train/cat/3.jpg", "ab") as file:  # the folder's time does not change
        file.write(b"\0")
    assert describe(recipe_of(root), command.manifests()) == before
    loaded = load(recipe_of(root), command.manifests())
    assert isinstance(loaded, FileImages)
    with pytest.raises(ChangedPhotoError, match=r"train/cat/3.jpg: it has .* bytes, and had .* --rescan"):
        loaded.photos.read(3)
    describe(recipe_of(root), command.manifests(rescan=True))
    assert command.lines == [f"dataset: {root} has changed since it was listed: 1 file (train/cat/3.jpg) changed"]
    describe(recipe_of(root), command.manifests(rescan=True))
    assert command.lines == [f"dataset: {root} was listed again and has not changed"]


@pytest.mark.usefixtures("settled")
def test_shards_that_were_added_or_written_again_are_found(command: Command, tmp_path: Path) -> None:
    root = write_parquet(tmp_path / "shards", {"train-0.parquet": table([0, 1, 0, 1]), "test.parquet": table([0, 1])})
    recipe = DatasetRecipe(name="parquet", root=str(root), validation=2)
    describe(recipe, command.manifests())
    describe(recipe, command.manifests())
    assert command.lines == []
    write_parquet(root, {"train-1.parquet": table([0, 1]), "test.parquet": table([1, 0])})
    describe(recipe, command.manifests())
    assert command.lines == [
        f"dataset: {root} has changed since it was listed: "
        "1 file (train-1.parquet) added; 1 file (test.parquet) changed"
    ]


@pytest.mark.usefixtures("settled")
def test_a_listing_that_is_damaged_or_of_another_version_is_made_anew(
    command: Command, make_image_folder: MakeFolder, listings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_of(make_image_folder(FOLDERS))
    first = describe(recipe, command.manifests())
    (kept,) = (command.storage / FOLDER).iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert describe(recipe, command.manifests()) == first
    monkeypatch.setattr("orchestrator.datasets.decoding.VERSION", 1000)
    assert describe(recipe, command.manifests()).fingerprint != first.fingerprint
    assert len(listings) == 3


def test_a_folder_that_was_removed_is_as_listed_if_its_photos_are_packed(
    command: Command, make_image_folder: MakeFolder
) -> None:
    root = make_image_folder(FOLDERS)
    recipe = recipe_of(root).model_copy(update={"pack": True})
    before = describe(recipe, command.manifests())
    shutil.rmtree(root)
    assert describe(recipe, command.manifests()) == before
    assert command.lines[0].startswith("dataset: 13 images as listed on 20")
    with pytest.raises(DatasetError, match="is not a folder"):
        describe(recipe_of(root), command.manifests())


@pytest.mark.usefixtures("settled")
def test_ingest_keeps_no_listing_of_its_own(command: Command, make_image_folder: MakeFolder) -> None:
    describe(recipe_of(make_image_folder(FOLDERS)), command.manifests(keep=False))
    assert not command.storage.exists()


def test_a_listing_that_cannot_be_kept_is_used_and_that_is_said(
    command: Command, make_image_folder: MakeFolder
) -> None:
    command.storage.write_text("in the way of the folder")
    root = make_image_folder(FOLDERS)
    assert describe(recipe_of(root), command.manifests()) == describe(recipe_of(root))
    assert [line.partition(": ")[0] for line in command.lines] == ["the listing of the data set could not be kept"]


def test_a_change_of_labels_alone_is_a_change_of_their_files() -> None:
    def files(labels: list[int]) -> object:
        return table_of([b"val/a.jpg", b"val/\xe9.jpg"], [10, 20], [2, 2], one_each(labels))

    assert changes(files([0, 1]), files([0, 1])) == []
    assert changes(files([0, 1]), files([0, 0])) == [r"1 file (val/\udce9.jpg) changed"]


@pytest.mark.usefixtures("settled")
def test_a_set_of_a_million_files_is_described_in_a_moment(command: Command, tmp_path: Path) -> None:
    names = [f"n{number:08d}" for number in range(1000)]
    parts, root = (("train", 0, 1281), ("val", 2, 50)), tmp_path / "photos"
    for part, *_ in parts:
        for name in names:
            (root / part / name).mkdir(parents=True)
    paths = [f"{part}/{name}/{i}.jpg".encode() for part, _, count in parts for name in names for i in range(count)]
    subset = [value for _, value, count in parts for _ in range(1000 * count)]
    labels = [label for *_, count in parts for label in range(1000) for _ in range(count)]
    files = table_of(paths, [100_000] * len(paths), subset, one_each(labels))
    places = [root / part / name for part, *_ in parts for name in ("", *names)]
    stamps = {os.path.relpath(place, root): folders.stamp(place) for place in places} | {".": "train val"}
    manifest = Manifest(tuple(names), counts_of(files, 1000), "f" * 64, (), stamps, time.time())
    recipe = DatasetRecipe(name="image_folder", root=str(root), validation=50_000)
    Storage(str(command.storage)).write_bytes(encode(Listing(manifest, files)), FOLDER, file_name(recipe))

    began = time.process_time()
    info = describe(recipe, command.manifests())
    assert time.process_time() - began < 0.5
    assert (info.train_images, info.test_images, info.fingerprint) == (1_231_000, 50_000, "f" * 64)
