"""Folders of photos: valid layouts, errors of others, and files that are left out."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from orchestrator.datasets import (
    TEST,
    TRAIN,
    VALIDATION,
    DatasetError,
    DatasetInfo,
    DatasetRecipe,
    FileImages,
    decoding,
    describe,
    load,
)
from tests.datasets.conftest import MakeFolder, names, write_photos

TRAINING = {"train/cat": 6, "train/dog": 4}


def example(name: str, folder: Path) -> DatasetRecipe:
    root = write_photos(folder / "photos", {**TRAINING, "val/cat": 2, "val/dog": 2})
    return DatasetRecipe(name=name, root=str(root), image_size=32)


def folder_recipe(root: Path) -> DatasetRecipe:
    return DatasetRecipe(name="image_folder", root=str(root), validation=2)


def load_files(root: Path) -> FileImages:
    loaded = load(folder_recipe(root))
    assert isinstance(loaded, FileImages)
    return loaded


def info(root: Path) -> DatasetInfo:
    return describe(folder_recipe(root))


@pytest.mark.parametrize("held_out", ["val", "valid", "test"])
def test_a_single_held_out_folder_is_the_test_set_and_validation_is_cut_from_train(
    held_out: str, make_image_folder: MakeFolder
) -> None:
    loaded = load_files(make_image_folder({**TRAINING, f"{held_out}/cat": 1, f"{held_out}/dog": 2}))
    assert [path for path, part in zip(names(loaded), loaded.subset, strict=True) if part == TEST] == [
        f"{held_out}/cat/0.jpg",
        f"{held_out}/dog/0.jpg",
        f"{held_out}/dog/1.jpg",
    ]
    assert np.bincount(loaded.subset).tolist() == [8, 2, 3]
    assert all(names(loaded)[i].startswith("train/") for i in np.flatnonzero(loaded.subset == VALIDATION))


@pytest.mark.parametrize("validation", ["val", "valid"])
def test_with_validation_and_test_folders_nothing_is_cut_from_train(
    validation: str, make_image_folder: MakeFolder
) -> None:
    root = make_image_folder({**TRAINING, f"{validation}/cat": 3, f"{validation}/dog": 1, "test/dog": 2})
    loaded = load_files(root)
    for folder, part in (("train", TRAIN), (validation, VALIDATION), ("test", TEST)):
        assert {names(loaded)[i].split("/")[0] for i in np.flatnonzero(loaded.subset == part)} == {folder}
    assert info(root).train_images == 10


def test_labels_number_the_training_folders_in_order(make_image_folder: MakeFolder) -> None:
    loaded = load_files(make_image_folder({"train/dog": 4, "train/cat": 6, "val/dog": 1}))
    assert loaded.class_names == ("cat", "dog")
    assert [loaded.class_names[label] for label in loaded.labels] == [path.split("/")[1] for path in names(loaded)]


def held_out(root: Path) -> list[str]:
    return [path.removeprefix("val/") for path in names(load_files(root)) if path.startswith("val/")]


def test_endings_may_be_in_capitals_and_files_that_are_left_out_are_counted(make_image_folder: MakeFolder) -> None:
    root = make_image_folder({**TRAINING, "val/cat": 1, "val/dog": 1})
    photo = root / "val" / "cat" / "0.jpg"
    images = ("A.JPEG", "b.Png", "c.webp", "d.BMP", "e.tif", "f.jfif", "g.gif", "h.ppm", "i.avif")
    for name in (*images, "notes.txt", "x.heic", "y.HEIC", "plain", ".hidden.jpg", "._e.jpg", ".DS_Store"):
        shutil.copy(photo, photo.with_name(name))
    assert held_out(root) == [f"cat/{name}" for name in sorted(("0.jpg", *images))] + ["dog/0.jpg"]
    assert info(root).notes == (
        "files left out for their ending: 2 .heic, 1 without one, 1 .txt",
        "images left out since they or their folders are hidden: 1",
    )


def test_subfolders_belong_to_their_class_but_for_hidden_ones_and_thumbnails(make_image_folder: MakeFolder) -> None:
    root = make_image_folder(
        {
            **TRAINING,
            "val/cat": 1,
            "val/cat/day": 1,
            "val/cat/day/noon": 1,
            "val/cat/.ipynb_checkpoints": 2,
            "val/dog": 1,
        }
    )
    shutil.copytree(root / "val" / "dog", root / "val" / "dog" / "@eaDir")
    shutil.copytree(root / "val" / "dog", root / "val" / "__MACOSX")
    assert held_out(root) == ["cat/0.jpg", "cat/day/0.jpg", "cat/day/noon/0.jpg", "dog/0.jpg"]
    assert info(root).notes == ("images left out since they or their folders are hidden: 2",)


def test_images_beside_the_class_folders_are_counted(make_image_folder: MakeFolder) -> None:
    root = make_image_folder({**TRAINING, "val": 3, "val/cat": 1, "val/dog": 1})
    assert held_out(root) == ["cat/0.jpg", "dog/0.jpg"]
    assert info(root).notes == ("images left out that lie in val/ itself: 3",)


def test_classes_without_test_or_validation_images_are_named(make_image_folder: MakeFolder) -> None:
    root = make_image_folder({"train/ant": 1, **TRAINING, "val/cat": 1, "val/dog": 0})
    assert info(root).notes == (
        "classes without validation images: ant (1 of 3)",
        "classes without test images: ant, dog (2 of 3)",
    )


@pytest.mark.parametrize("name", ["train/bird", "val/bird", "train/cat/more", "val"])
def test_a_link_to_a_folder_that_is_not_there_is_refused(name: str, make_image_folder: MakeFolder) -> None:
    root = make_image_folder(
        {**TRAINING, "test/cat": 1, "val/cat": 1} if name != "val" else {**TRAINING, "test/cat": 1}
    )
    os.symlink(root / "nowhere", root / name)
    with pytest.raises(
        DatasetError, match=rf"{name}: a link that leads nowhere \(to .*nowhere\); mend it or remove it"
    ):
        load_files(root)


def test_a_link_back_to_a_folder_above_is_refused_and_another_link_is_followed(make_image_folder: MakeFolder) -> None:
    root = make_image_folder({**TRAINING, "val/cat": 1})
    os.symlink(root / "train" / "dog", root / "val" / "dog")
    assert held_out(root) == ["cat/0.jpg", *(f"dog/{number}.jpg" for number in range(4))]
    os.symlink(root / "val" / "cat", root / "val" / "cat" / "again")
    with pytest.raises(DatasetError, match="cat/again: a link to a folder that contains it"):
        load_files(root)


def test_a_file_in_place_of_a_subset_folder_and_a_class_name_that_is_not_text_are_refused(
    make_image_folder: MakeFolder,
) -> None:
    root = make_image_folder({**TRAINING, "test/cat": 1})
    (root / "val").write_text("../elsewhere/val")  # what becomes of a link in some archives
    with pytest.raises(DatasetError, match="val: not a folder; rename the file"):
        load_files(root)
    (root / "val").unlink()
    os.mkdir(os.fsencode(root / "train") + b"/caf\xe9")
    with pytest.raises(DatasetError, match=r"train: a class folder's name is not UTF-8 \(caf.udce9\); rename it"):
        load_files(root)


def test_a_pipe_is_left_out_and_an_image_that_is_a_dangling_link_counts_as_broken(
    make_image_folder: MakeFolder,
) -> None:
    root = make_image_folder({**TRAINING, "val/cat": 1, "val/dog": 1})
    os.mkfifo(root / "val" / "cat" / "pipe.jpg")  # opening it would wait for ever
    os.symlink(root / "nowhere.jpg", root / "val" / "cat" / "link.jpg")
    assert held_out(root) == ["cat/0.jpg", "cat/link.jpg", "dog/0.jpg"]
    assert info(root).notes == ("pipes, sockets and devices left out: 1",)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ({}, "is not a folder"),
        ({"val/cat": 1}, "has no folder train/"),
        (TRAINING, "has train/ but neither val/, valid/ nor test/"),
        ({**TRAINING, "val/cat": 1, "valid/cat": 1}, "both val/ and valid/"),
        ({**TRAINING, "val/cat": 1, "val/bird": 1}, "train/ lacks: bird"),
        ({"train/cat": 3, "val/cat": 1}, "1 class folders found"),
        ({**TRAINING, "train/empty": 0, "val/cat": 1}, "train/empty: no image in this class folder"),
        ({**TRAINING, "val/cat": 0}, "val: no image in its class folders"),
        ({"train": 3, "val/cat": 1}, "train: 0 class folders found, and 3 images in train/ itself"),
    ],
)
def test_a_layout_that_cannot_be_used_is_an_error_that_names_it(
    folders: dict[str, int], message: str, make_image_folder: MakeFolder
) -> None:
    root = make_image_folder(folders)
    for ask in (describe, load):
        with pytest.raises(DatasetError, match=message):
            ask(folder_recipe(root))


def test_a_folder_that_may_not_be_read_is_named(make_image_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    root, scandir = make_image_folder({**TRAINING, "val/cat": 1}), os.scandir

    def closed(path: Path) -> object:  # the mode of a folder says nothing to root, who may be running this
        if path.name == "dog":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    for ask in (describe, load):
        with pytest.raises(DatasetError, match=r"train/dog: can't be read .Permission denied.; see to it"):
            ask(folder_recipe(root))


def test_the_fingerprint_stays_when_the_set_moves(make_image_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_image_folder({**TRAINING, "val/cat": 1})
    moved = shutil.copytree(root, tmp_path / "elsewhere")
    assert info(root).fingerprint == info(moved).fingerprint


@pytest.mark.parametrize("change", ["grow", "add", "rename", "remove"])
def test_the_fingerprint_changes_with_the_files(change: str, make_image_folder: MakeFolder) -> None:
    root = make_image_folder({**TRAINING, "val/cat": 1})
    before = info(root).fingerprint
    photo = root / "train" / "cat" / "3.jpg"
    match change:
        case "grow":
            photo.write_bytes(photo.read_bytes() + b"\0")
        case "add":
            shutil.copy(photo, photo.with_name("new.jpg"))
        case "rename":
            photo.rename(photo.with_name("new.jpg"))
        case "remove":
            photo.unlink()
    assert info(root).fingerprint != before


def test_the_fingerprint_changes_with_the_decoder_s_version(
    make_image_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_image_folder({**TRAINING, "val/cat": 1})
    before = info(root).fingerprint
    monkeypatch.setattr(decoding, "VERSION", decoding.VERSION + 1)
    assert info(root).fingerprint != before


def test_the_networks_see_224_pixels_unless_the_recipe_says_otherwise(make_image_folder: MakeFolder) -> None:
    recipe = folder_recipe(make_image_folder({**TRAINING, "val/cat": 1}))
    assert describe(recipe).image_shape == (3, 224, 224)
    assert describe(recipe.model_copy(update={"image_size": 64})).image_shape == (3, 64, 64)
