"""ImageNet's val/ without class folders: a complete labels file is read, other layouts are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.datasets import DatasetError, DatasetRecipe, FileImages, describe, load
from tests.datasets.conftest import MakeFolder, names

IMAGES = ("0.jpg", "1.jpg", "2.jpg", "3.jpg")
CLASSES = ("n02", "n01", "n02", "n01")
Write = Callable[[Path], None]


def flat(make_image_folder: MakeFolder, where: str = "val") -> Path:
    return make_image_folder({"train/n01": 6, "train/n02": 6, where: len(IMAGES)})


def recipe(root: Path) -> DatasetRecipe:
    return DatasetRecipe(name="image_folder", root=str(root), validation=2)


def labels(root: Path) -> dict[str, str]:
    """Classes by path, of the images that lie in no class folder."""
    loaded = load(recipe(root))
    assert isinstance(loaded, FileImages)
    pairs = zip(names(loaded), loaded.labels, strict=True)
    return {path: loaded.class_names[label] for path, label in pairs if path.startswith("val/")}


def tiny_imagenet(root: Path) -> None:
    rows = [f"{image}\t{name}\t0\t0\t62\t62\n" for image, name in zip(IMAGES, CLASSES, strict=True)]
    (root / "val" / "val_annotations.txt").write_text("".join(rows))


def kaggle(root: Path) -> None:
    rows = [f"{image[:-4]},{name} 1 2 3 4 {name} 5 6 7 8\n" for image, name in zip(IMAGES, CLASSES, strict=True)]
    text = "ImageId,PredictionString\nelsewhere,n09 1 2 3 4\n" + "".join(reversed(rows))
    (root / "LOC_val_solution.csv").write_text(text)


def synset_labels(root: Path) -> None:
    (root / "imagenet_2012_validation_synset_labels.txt").write_text("\n".join(CLASSES) + "\n")


def devkit(root: Path) -> None:
    scipy = pytest.importorskip("scipy.io", reason="the devkit's meta.mat is read by scipy")
    import numpy as np

    synsets = np.array([(1, "n02"), (2, "n01"), (3, "n03")], [("ILSVRC2012_ID", "i4"), ("WNID", "O")])
    folder = root / "ILSVRC2012_devkit_t12" / "data"
    folder.mkdir(parents=True)
    scipy.savemat(folder / "meta.mat", {"synsets": synsets})
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("1\n2\n1\n2\n")


@pytest.mark.parametrize("write", [tiny_imagenet, kaggle, synset_labels, devkit])
def test_the_labels_file_beside_a_flat_folder_is_read(write: Write, make_image_folder: MakeFolder) -> None:
    root = flat(make_image_folder)
    write(root)
    assert describe(recipe(root)).notes == ()
    assert labels(root) == {f"val/{image}": name for image, name in zip(IMAGES, CLASSES, strict=True)}


def test_tiny_imagenets_folder_of_images_is_no_class(make_image_folder: MakeFolder) -> None:
    root = flat(make_image_folder, "val/images")
    tiny_imagenet(root)
    assert labels(root) == {f"val/images/{image}": name for image, name in zip(IMAGES, CLASSES, strict=True)}


def test_another_label_is_another_data_set(make_image_folder: MakeFolder) -> None:
    root = flat(make_image_folder)
    synset_labels(root)
    before = describe(recipe(root)).fingerprint
    (root / "imagenet_2012_validation_synset_labels.txt").write_text("n02\nn01\nn01\nn02\n")
    assert describe(recipe(root)).fingerprint != before


def test_a_flat_folder_without_labels_is_refused_with_its_image_count_and_the_remedy(
    make_image_folder: MakeFolder,
) -> None:
    root = flat(make_image_folder)
    words = r"4 images lie in val/ itself, not in class folders; sort them into val/<class>/, or put their labels file"
    for ask in (describe, load):
        with pytest.raises(DatasetError, match=words):
            ask(recipe(root))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("val_annotations.txt", "0.jpg\tn01\n1.jpg\tn02\n", r"no label for 2 of 4 images .*\(2.jpg, 3.jpg\)"),
        ("val_annotations.txt", "".join(f"{i}\tn07\n" for i in IMAGES), "classes that train/ lacks: n07"),
        ("imagenet_2012_validation_synset_labels.txt", "n01\n", "1 lines for 4 images"),
        ("ILSVRC2012_validation_ground_truth.txt", "1\n2\n1\n2\n", "mean nothing without the devkit's meta.mat"),
        ("LOC_val_solution.csv", "", "no label for 4 of 4 images"),
    ],
)
def test_a_labels_file_that_does_not_fit_is_refused(
    name: str, content: str, message: str, make_image_folder: MakeFolder
) -> None:
    root = flat(make_image_folder)
    (root / name).write_text(content)
    with pytest.raises(DatasetError, match=message):
        load(recipe(root))


def test_a_meta_mat_that_is_not_a_matlab_file_is_refused(make_image_folder: MakeFolder) -> None:
    root = flat(make_image_folder)
    devkit(root)
    (root / "ILSVRC2012_devkit_t12" / "data" / "meta.mat").write_bytes(b"no matrix")
    with pytest.raises(DatasetError, match=r"meta\.mat: can't be read as the devkit's"):
        load(recipe(root))


def test_two_labels_files_are_refused(make_image_folder: MakeFolder) -> None:
    root = flat(make_image_folder)
    kaggle(root)
    tiny_imagenet(root)
    with pytest.raises(DatasetError, match=r"there are 2 labels files: .*; keep the one that is right"):
        load(recipe(root))
