"""The functions of a data set, found by the name in the recipe; ``names.py`` lists the modules that have them."""

from importlib import import_module
from typing import Protocol, cast

import numpy as np

from orchestrator.datasets.bucket import shown
from orchestrator.datasets.checks import class_notes
from orchestrator.datasets.listing import labels_of, subset_of
from orchestrator.datasets.manifests import Manifests, PhotoSet
from orchestrator.datasets.names import MODULES, PHOTO_SETS, USER_DEFINED
from orchestrator.datasets.spec import (
    DEFAULT_IMAGE_SIZE,
    TEST,
    TRAIN,
    ArrayImages,
    DatasetError,
    DatasetInfo,
    DatasetRecipe,
    FileImages,
)
from orchestrator.datasets.split import cut_counts, cut_validation
from orchestrator.user_code import is_user_defined


class Dataset(Protocol):
    """A module with the functions of a data set, which are those below of the same names."""

    def describe(self, recipe: DatasetRecipe) -> DatasetInfo: ...

    def check_present(self, recipe: DatasetRecipe) -> None: ...

    def load(self, recipe: DatasetRecipe) -> ArrayImages | FileImages: ...


def names() -> list[str]:
    """Returns the names, sorted; ``USER_DEFINED`` stands for user-defined ones."""
    return sorted(MODULES)


def describe(recipe: DatasetRecipe, manifests: Manifests | None = None) -> DatasetInfo:
    """Returns the set's metadata without reading an image; imports neither torch nor torchvision.

    A set of photos is listed, unless ``manifests`` have a listing that still holds; a torchvision set need not be
    downloaded yet.

    Raises:
        DatasetError: when the set can't be used.
    """
    if recipe.name not in PHOTO_SETS:
        return _find(recipe).describe(recipe)
    manifest = (manifests or Manifests(None)).manifest(recipe, _find_photos(recipe))
    counts = cut_counts(np.array(manifest.counts, np.int64), recipe.validation)
    edge = recipe.image_size or DEFAULT_IMAGE_SIZE
    return DatasetInfo(
        classes=len(manifest.class_names),
        image_shape=(3, edge, edge),
        fingerprint=manifest.fingerprint,
        train_images=int(counts[TRAIN].sum()),
        test_images=int(counts[TEST].sum()),
        class_names=manifest.class_names,
        notes=(*manifest.notes, *class_notes(counts, manifest.class_names)),
    )


def check_present(recipe: DatasetRecipe) -> None:
    """Check that ``load`` will find the right files, or may download them; downloads nothing.

    Photos have been looked for by ``describe``.

    Raises:
        DatasetError: when files are missing or have another content.
    """
    if recipe.name not in PHOTO_SETS:
        _find(recipe).check_present(recipe)


def load(recipe: DatasetRecipe, manifests: Manifests | None = None) -> ArrayImages | FileImages:
    """Returns the set with its validation images cut; downloads it if needed and ``dataset.download`` is set.

    Raises:
        DatasetError: when it can't be read.
    """
    if recipe.name not in PHOTO_SETS:
        return _find(recipe).load(recipe)
    module = _find_photos(recipe)
    listing = (manifests or Manifests(None)).listing(recipe, module)
    labels, subset = labels_of(listing.files), subset_of(listing.files)
    return FileImages(
        photos=module.photos(recipe, listing),
        place=shown(recipe.root),
        labels=labels,
        subset=cut_validation(labels, subset, recipe.validation, recipe.cut_seed),
        class_names=listing.manifest.class_names,
    )


def _find(recipe: DatasetRecipe) -> Dataset:
    return cast(Dataset, _module(USER_DEFINED if is_user_defined(recipe.name) else recipe.name))


def _find_photos(recipe: DatasetRecipe) -> PhotoSet:
    return cast(PhotoSet, _module(recipe.name))


def _module(name: str) -> object:
    if name not in MODULES:
        raise DatasetError(f"dataset.name: {name!r} is not a data set; choose one of {', '.join(names())}")
    return import_module(f"orchestrator.datasets.{MODULES[name]}")
