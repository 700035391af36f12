"""User-defined data sets: ``dataset.name: module:callable``.

The callable takes the recipe's section ``dataset`` (``DatasetRecipe``) and returns the whole set as ``ArrayImages``. A
run also calls it when it plans, to compute the fingerprint from the content, so it should be fast, and it must return
the same set every time.
"""

import hashlib
from collections.abc import Callable

import numpy as np

from orchestrator import user_code
from orchestrator.datasets.checks import check_arrays, class_notes, count_by_part
from orchestrator.datasets.spec import TEST, TRAIN, VALIDATION, ArrayImages, DatasetError, DatasetInfo, DatasetRecipe
from orchestrator.datasets.split import cut_validation


def describe(recipe: DatasetRecipe) -> DatasetInfo:
    """Returns the set's metadata; the fingerprint is of its whole content, before validation is cut."""
    found = _read(recipe)
    subset = cut_validation(found.labels, found.subset, recipe.validation, recipe.cut_seed)
    height, width, channels = found.images.shape[1:]
    classes = len(found.class_names)
    return DatasetInfo(
        classes=classes,
        image_shape=(channels, height, width),
        fingerprint=_fingerprint(found),
        train_images=int(np.sum(subset == TRAIN)),
        test_images=int(np.sum(subset == TEST)),
        notes=tuple(class_notes(count_by_part(found.labels, subset, classes), found.class_names)),
        class_names=tuple(found.class_names),
    )


def check_present(recipe: DatasetRecipe) -> None:
    """Check that the callable exists; ``describe`` has called it before.

    Raises:
        DatasetError: when it does not.
    """
    _find(recipe)


def load(recipe: DatasetRecipe) -> ArrayImages:
    """Returns the callable's set, with validation cut unless it has validation images."""
    found = _read(recipe)
    return ArrayImages(
        images=np.ascontiguousarray(found.images),
        labels=found.labels,
        subset=cut_validation(found.labels, found.subset, recipe.validation, recipe.cut_seed),
        severity=found.severity,
        class_names=tuple(found.class_names),
    )


def _find(recipe: DatasetRecipe) -> Callable[..., object]:
    try:
        return user_code.load(recipe.name)
    except user_code.UserCodeError as error:
        raise DatasetError(f"dataset.name: {error}") from error


def _read(recipe: DatasetRecipe) -> ArrayImages:
    make = _find(recipe)
    try:
        found = make(recipe)
    except DatasetError:
        raise
    except Exception as error:  # user-defined code may raise anything
        raise DatasetError(f"dataset.name: {recipe.name} failed: {type(error).__name__}: {error}") from error
    if not isinstance(found, ArrayImages):
        raise DatasetError(
            f"dataset.name: {recipe.name} returned a {type(found).__name__}; return orchestrator.datasets.ArrayImages"
        )
    try:
        _check(found)
    except DatasetError as error:
        raise DatasetError(f"dataset.name: {recipe.name}: {error}") from None
    return found


def _check(found: ArrayImages) -> None:
    """Checks shapes, types and subsets; an image whose label is not a class is broken, and ``ingest`` lists it."""
    if found.images.ndim != 4 or found.images.shape[1] != found.images.shape[2]:
        raise DatasetError(f"images has shape {found.images.shape}; give (images, size, size, channels), square images")
    size, _, channels = found.images.shape[1:]
    check_arrays(found.images, found.labels, len(found.class_names), (channels, size, size))
    if found.subset.dtype != np.uint8 or found.subset.shape != found.labels.shape:
        raise DatasetError(
            f"subset is {found.subset.dtype} of shape {found.subset.shape}; give uint8 of shape {found.labels.shape}"
        )
    if not {TRAIN, TEST} <= set(np.unique(found.subset)) <= {TRAIN, VALIDATION, TEST}:
        raise DatasetError(
            f"subset has the values {np.unique(found.subset).tolist()}; mark training images by TRAIN ({TRAIN}) and "
            f"test images by TEST ({TEST}), both needed, and validation images, if any, by VALIDATION ({VALIDATION})"
        )
    if len(found.class_names) < 2:
        raise DatasetError(f"class_names has {len(found.class_names)} names; give one a class, two or more")
    if found.severity is not None and found.severity.shape != found.labels.shape:
        raise DatasetError(f"severity has shape {found.severity.shape}; give {found.labels.shape}, or None")


def _fingerprint(found: ArrayImages) -> str:
    digest = hashlib.sha256(repr((found.images.shape, found.class_names)).encode())
    for array in (found.images, found.labels, found.subset, found.severity):
        digest.update(b"" if array is None else np.ascontiguousarray(array).data)
    return digest.hexdigest()
