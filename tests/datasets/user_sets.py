"""User-defined data sets for tests, named by their ``module:callable`` path."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from orchestrator.datasets import TEST, TRAIN, ArrayImages, DatasetRecipe

IMAGES, CLASSES, SIZE = 40, 4, 8


def noise(recipe: DatasetRecipe) -> ArrayImages:
    """Random RGB images, 30 to learn from and 10 to test on."""
    generator = np.random.default_rng(0)
    return ArrayImages(
        images=generator.integers(0, 256, (IMAGES, SIZE, SIZE, 3), dtype=np.uint8),
        labels=np.arange(IMAGES, dtype=np.int64) % CLASSES,
        subset=np.where(np.arange(IMAGES) < 30, TRAIN, TEST).astype(np.uint8),
        severity=None,
        class_names=tuple("abcd"),
    )


def changed(recipe: DatasetRecipe, **fields: Any) -> ArrayImages:
    """``noise`` with other fields."""
    return dataclasses.replace(noise(recipe), **fields)


def with_another_pixel(recipe: DatasetRecipe) -> ArrayImages:
    images = noise(recipe).images.copy()
    images[0, 0, 0, 0] ^= 1
    return changed(recipe, images=images)


def as_floats(recipe: DatasetRecipe) -> ArrayImages:
    return changed(recipe, images=noise(recipe).images / 255)


def not_square(recipe: DatasetRecipe) -> ArrayImages:
    return changed(recipe, images=noise(recipe).images[:, :4])


def without_test_images(recipe: DatasetRecipe) -> ArrayImages:
    return changed(recipe, subset=np.full(IMAGES, TRAIN, np.uint8))


def of_one_class(recipe: DatasetRecipe) -> ArrayImages:
    return changed(recipe, class_names=("a",))


def short_severity(recipe: DatasetRecipe) -> ArrayImages:
    return changed(recipe, severity=np.zeros(3, np.float32))


def arrays_alone(recipe: DatasetRecipe) -> tuple[np.ndarray, np.ndarray]:
    return noise(recipe).images, noise(recipe).labels


def from_a_file(recipe: DatasetRecipe) -> ArrayImages:
    with open(f"{recipe.root}/missing.npy") as file:
        return ArrayImages(*np.load(file.name))
