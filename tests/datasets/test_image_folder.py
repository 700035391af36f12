"""Folders of photos: both layouts, what is wrong with the others, and broken files."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.datasets import (
    TEST,
    TRAIN,
    VALIDATION,
    DatasetError,
    DatasetInfo,
    DatasetRecipe,
    FileImages,
    check_present,
    describe,
    load,
)
from orchestrator.datasets.image_folder import decode, probe
from tests.datasets.conftest import MakeFolder

TRAINING = {"train/cat": 6, "train/dog": 4}


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
    assert [path for path, part in zip(loaded.paths, loaded.subset, strict=True) if part == TEST] == [
        f"{held_out}/cat/0.jpg",
        f"{held_out}/dog/0.jpg",
        f"{held_out}/dog/1.jpg",
    ]
    assert np.bincount(loaded.subset).tolist() == [8, 2, 3]
    assert all(loaded.paths[i].startswith("train/") for i in np.flatnonzero(loaded.subset == VALIDATION))


@pytest.mark.parametrize("validation", ["val", "valid"])
def test_with_validation_and_test_folders_nothing_is_cut_from_train(
    validation: str, make_image_folder: MakeFolder
) -> None:
    root = make_image_folder({**TRAINING, f"{validation}/cat": 3, f"{validation}/dog": 1, "test/dog": 2})
    loaded = load_files(root)
    for folder, part in (("train", TRAIN), (validation, VALIDATION), ("test", TEST)):
        assert {loaded.paths[i].split("/")[0] for i in np.flatnonzero(loaded.subset == part)} == {folder}
    assert info(root).train_images == 10


def test_labels_number_the_training_folders_in_order(make_image_folder: MakeFolder) -> None:
    loaded = load_files(make_image_folder({"train/dog": 4, "train/cat": 6, "val/dog": 1}))
    assert loaded.class_names == ("cat", "dog")
    assert [loaded.class_names[label] for label in loaded.labels] == [path.split("/")[1] for path in loaded.paths]


def test_extensions_may_be_in_capitals_and_other_files_are_passed_over(make_image_folder: MakeFolder) -> None:
    root = make_image_folder({**TRAINING, "val/cat": 1})
    photo = root / "val" / "cat" / "0.jpg"
    for name in ("A.JPEG", "b.Png", "c.webp", "d.BMP", "notes.txt", "._e.jpg"):
        shutil.copy(photo, photo.with_name(name))
    loaded = load_files(root)
    assert [path for path in loaded.paths if path.startswith("val")] == [
        f"val/cat/{name}" for name in ("0.jpg", "A.JPEG", "b.Png", "c.webp", "d.BMP")
    ]


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
    ],
)
def test_a_layout_that_cannot_be_used_is_an_error_that_names_it(
    folders: dict[str, int], message: str, make_image_folder: MakeFolder
) -> None:
    root = make_image_folder(folders)
    for ask in (describe, load):
        with pytest.raises(DatasetError, match=message):
            ask(folder_recipe(root))


def test_a_missing_folder_is_found_before_anything_trains(make_image_folder: MakeFolder) -> None:
    with pytest.raises(DatasetError, match="neither val/"):
        check_present(folder_recipe(make_image_folder(TRAINING)))


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


def test_the_networks_see_224_pixels_unless_the_recipe_says_otherwise(make_image_folder: MakeFolder) -> None:
    recipe = folder_recipe(make_image_folder({**TRAINING, "val/cat": 1}))
    assert describe(recipe).image_shape == (3, 224, 224)
    assert describe(recipe.model_copy(update={"image_size": 64})).image_shape == (3, 64, 64)


def test_probe_gives_width_and_height(make_image_folder: MakeFolder) -> None:
    root = make_image_folder({"train/cat": 1})
    assert probe(root / "train" / "cat" / "0.jpg") == (24, 20)


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "bmp"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_a_truncated_file_is_named(extension: str, share: float, tmp_path: Path) -> None:
    photo = tmp_path / f"photo.{extension}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(photo)
    content = photo.read_bytes()
    photo.write_bytes(content[: int(share * len(content))])
    for ask in (probe, decode):
        with pytest.raises(DatasetError, match=rf"photo\.{extension}: not a whole image .*dataset\.skip_broken"):
            ask(photo)


def test_a_file_of_another_kind_and_a_link_that_leads_nowhere_are_named(make_image_folder: MakeFolder) -> None:
    root = make_image_folder({**TRAINING, "val/cat": 1})
    (root / "val" / "cat" / "text.jpg").write_text("no photo")
    os.symlink(root / "nowhere.jpg", root / "val" / "cat" / "link.jpg")
    loaded = load_files(root)
    broken = []
    for path in loaded.paths:
        try:
            probe(Path(loaded.root, path))
        except DatasetError:
            broken.append(path)
    assert broken == ["val/cat/link.jpg", "val/cat/text.jpg"]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_decode_gives_rgb_whatever_the_file_holds(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("photo.jpg" if mode == "CMYK" else "photo.png")
    Image.new("RGB", (7, 5), (255, 255, 255)).convert(mode).save(path)
    pixels = decode(path)
    assert pixels.shape == (5, 7, 3) and pixels.dtype == np.uint8
    assert pixels.min() >= 250
    pixels[0] = 0  # the caller may write into it
