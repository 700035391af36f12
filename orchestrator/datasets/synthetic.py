"""``synthetic``: generated images whose true difficulty is known, for tests and for comparing difficulties."""

import hashlib
import json

import numpy as np
from numpy.typing import NDArray

from orchestrator.datasets.spec import TEST, TRAIN, ArrayImages, DatasetInfo, DatasetRecipe, SyntheticRecipe
from orchestrator.datasets.split import cut_validation, validation_count
from orchestrator.randomness import Purpose, generator

COARSE = 4  # prototypes are random on this grid and smooth in between


def describe(recipe: DatasetRecipe) -> DatasetInfo:
    """Returns the set's metadata; the fingerprint is of the parameters and the seed."""
    wanted = recipe.synthetic
    parameters = json.dumps({"seed": recipe.seed, **wanted.model_dump()}, sort_keys=True)
    return DatasetInfo(
        classes=wanted.classes,
        image_shape=(wanted.channels, wanted.image_size, wanted.image_size),
        fingerprint=hashlib.sha256(f"synthetic {parameters}".encode()).hexdigest(),
        train_images=wanted.images - validation_count(wanted.images, wanted.classes, recipe.validation),
        test_images=wanted.test_images,
        class_names=_class_names(wanted),
    )


def check_present(recipe: DatasetRecipe) -> None:
    """Nothing to check."""


def load(recipe: DatasetRecipe) -> ArrayImages:
    """Returns the images of ``generate``: training images, then test images."""
    wanted = recipe.synthetic
    images, labels, severity = generate(wanted, recipe.seed)
    subset = np.full(len(labels), TRAIN, np.uint8)
    subset[wanted.images :] = TEST
    return ArrayImages(
        images=images,
        labels=labels,
        subset=cut_validation(labels, subset, recipe.validation, recipe.cut_seed),
        severity=severity,
        class_names=_class_names(wanted),
    )


def _class_names(recipe: SyntheticRecipe) -> tuple[str, ...]:
    return tuple(f"pattern {label}" for label in range(recipe.classes))


def generate(recipe: SyntheticRecipe, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float32]]:
    """Returns images (N, size, size, channels), labels (N,), severities (N,), where N = images + test_images.

    Each class has a prototype, a smooth random pattern with values in [0, 1]. An image of severity s, drawn uniformly
    from [0, 1), is

        (1 - s / 2) its class's prototype + (s / 2) another class's prototype + s noise Gaussian

    clipped to [0, 1]: at s = 0 the prototype itself, towards s = 1 halfway between two classes under the full noise.
    Labels run through the classes in turn. Image i is a function of (parameters, seed, i) only.
    """
    count, size, channels = recipe.images + recipe.test_images, recipe.image_size, recipe.channels
    prototypes = np.stack([_prototype(seed, label, size, channels) for label in range(recipe.classes)])
    labels = np.arange(count, dtype=np.int64) % recipe.classes
    severity = np.empty(count, np.float32)
    images = np.empty((count, size, size, channels), np.uint8)
    for i in range(count):
        stream = generator(seed, Purpose.SYNTHETIC_IMAGE, i)
        severity[i] = s = stream.random(dtype=np.float32)
        other = (labels[i] + 1 + stream.integers(recipe.classes - 1)) % recipe.classes
        noise = recipe.noise * stream.standard_normal((size, size, channels))
        pixels = (1 - s / 2) * prototypes[labels[i]] + (s / 2) * prototypes[other] + s * noise
        images[i] = np.rint(np.clip(pixels, 0, 1) * 255)
    return images, labels, severity


def _prototype(seed: int, label: int, size: int, channels: int) -> NDArray[np.float64]:
    """Returns a coarse random grid, interpolated linearly and scaled to [0, 1]: (size, size, channels)."""
    coarse = generator(seed, Purpose.PROTOTYPE, label).random((COARSE, COARSE, channels))
    place = np.linspace(0, COARSE - 1, size)
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(COARSE)))  # (size, COARSE), rows sum to 1
    smooth = np.einsum("hi,wj,ijc->hwc", weights, weights, coarse)
    return (smooth - smooth.min()) / (smooth.max() - smooth.min())
