"""Arrays in blocks: the statistics and files that whole arrays have, without a second copy."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from orchestrator.artifacts import dataset
from orchestrator.artifacts.dataset import Oddity
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.datasets import TEST, TRAIN, VALIDATION, ArrayImages, DatasetInfo, DatasetRecipe
from orchestrator.stages import ingest
from orchestrator.stages.errors import StageError
from orchestrator.stages.ingest import PixelSums

COUNT = 90
RECIPE = DatasetRecipe(name="synthetic")
INFO = DatasetInfo(classes=3, image_shape=(2, 5, 5), fingerprint="", train_images=60, test_images=15)


def images() -> ArrayImages:
    generator = np.random.default_rng(0)
    return ArrayImages(
        images=generator.integers(0, 256, (COUNT, 5, 5, 2), dtype=np.uint8), labels=np.arange(COUNT) % 3,
        subset=np.resize(np.array([TRAIN, TRAIN, VALIDATION, TRAIN, TEST, TRAIN], np.uint8), COUNT),
        severity=np.linspace(0, 0.9, COUNT, dtype=np.float32), class_names=("a", "b", "c"),
    )  # fmt: skip


@pytest.mark.parametrize("block", [1, 50, 333, 10_000])  # bytes
def test_an_arrays_artifact_is_the_same_whatever_the_blocks(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "BLOCK_BYTES", block)
    monkeypatch.setattr(ingest, "COUNTED", 7)
    loaded = images()
    about = ingest.write(tmp_path, loaded, INFO, RECIPE, [])
    shown = loaded.images[loaded.subset == TRAIN] / 255
    np.testing.assert_allclose(about.mean, shown.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(about.std, shown.std(axis=(0, 1, 2)), rtol=1e-9)
    assert about.content == hashlib.sha256(loaded.images.tobytes() + loaded.labels.tobytes()).hexdigest()
    files = FolderFiles(tmp_path)
    np.testing.assert_array_equal(dataset.read_images(files), loaded.images)
    np.testing.assert_array_equal(dataset.read_severity(files), loaded.severity)


def test_images_of_no_class_are_named_by_their_number_and_left_out_where_the_recipe_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "BLOCK_BYTES", 400)
    loaded = images()
    labels = loaded.labels.copy()
    labels[[8, 77]] = 3
    damaged = dataclasses.replace(loaded, labels=labels)
    with pytest.raises(StageError, match=r"2 of 90 images are broken:\n  image 8: label 3 [\s\S]*\n  image 77: "):
        ingest.write(tmp_path, damaged, INFO, RECIPE, [])
    about = ingest.write(tmp_path, damaged, INFO, RECIPE.model_copy(update={"skip_broken": True}), [])
    assert [name for name, _ in about.broken] == ["image 8", "image 77"] and about.counts.skipped == 2
    kept = np.delete(loaded.images, [8, 77], axis=0)
    np.testing.assert_array_equal(dataset.read_images(FolderFiles(tmp_path)), kept)


def test_images_that_occur_twice_and_blank_ones_are_named_by_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "BLOCK_BYTES", 400)
    loaded = images()
    pixels, labels = loaded.images.copy(), loaded.labels.copy()
    pixels[50], pixels[70] = pixels[1], pixels[3]  # training, and test
    pixels[20], labels[2] = 7, 3
    odd = dataclasses.replace(loaded, images=pixels, labels=labels)
    about = ingest.write(tmp_path, odd, INFO, RECIPE.model_copy(update={"skip_broken": True}), [])
    assert about.odd_images == {
        "leaked": Oddity(1, ("image 70 is image 3",)),
        "repeated": Oddity(1, ("image 50 is image 1",)),
        "blank": Oddity(1, ("image 20",)),
    }
    assert dataset.read_about(FolderFiles(tmp_path)).odd_images == about.odd_images


def test_sums_are_exact_for_the_brightest_pixels() -> None:
    sums = PixelSums(1)
    for _ in range(3):
        sums.add(np.full((1000, 4, 4, 1), 255, np.uint8))
    assert (sums.mean(), sums.std()) == ((1.0,), (1e-4,))


def test_label_noise_is_in_the_stored_training_labels_alone_and_counted(tmp_path: Path) -> None:
    loaded = images()
    about = ingest.write(tmp_path, loaded, INFO, RECIPE.model_copy(update={"label_noise": 0.4}), [])
    labels = dataset.read_labels(FolderFiles(tmp_path))
    wrong = labels != loaded.labels
    assert about.counts.wrong_labels == wrong.sum() == round(0.4 * about.counts.train)
    assert np.all(loaded.subset[wrong] == TRAIN)
    assert about.content == hashlib.sha256(loaded.images.tobytes() + labels.tobytes()).hexdigest()
