"""Registry of data sets by name, and the functions that each implements."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.datasets.spec import ArrayImages, DatasetError, DatasetInfo, DatasetRecipe, FileImages
from orchestrator.user_code import is_user_defined

USER_DEFINED = "module:callable"
"""The entry for user-defined data sets, whose names have a colon."""


@dataclass(frozen=True)
class Dataset:
    """Implementation of a data set: the functions of this module of the same names, for one name."""

    describe: Callable[[DatasetRecipe], DatasetInfo]
    check_present: Callable[[DatasetRecipe], None]
    load: Callable[[DatasetRecipe], ArrayImages | FileImages]


_REGISTERED: dict[str, Dataset] = {}


def register(name: str, dataset: Dataset) -> None:
    """Register a data set.

    Raises:
        ValueError: when the name is taken.
    """
    if name in _REGISTERED:
        raise ValueError(f"data set {name!r} is registered twice; give one of them another name")
    _REGISTERED[name] = dataset


def names() -> list[str]:
    """Returns the registered names, sorted; ``USER_DEFINED`` stands for user-defined ones."""
    return sorted(_REGISTERED)


def describe(recipe: DatasetRecipe) -> DatasetInfo:
    """Returns the set's metadata without reading an image; imports neither torch nor torchvision.

    An image_folder is listed; a torchvision set need not be downloaded yet.

    Raises:
        DatasetError: when the set can't be used.
    """
    return _find(recipe).describe(recipe)


def check_present(recipe: DatasetRecipe) -> None:
    """Check that ``load`` will find the right files, or may download them; downloads nothing.

    Raises:
        DatasetError: when files are missing or have another content.
    """
    _find(recipe).check_present(recipe)


def load(recipe: DatasetRecipe) -> ArrayImages | FileImages:
    """Returns the set with its validation images cut; downloads it if needed and ``dataset.download`` is set.

    Raises:
        DatasetError: when it can't be read.
    """
    return _find(recipe).load(recipe)


def _find(recipe: DatasetRecipe) -> Dataset:
    if is_user_defined(recipe.name):
        return _REGISTERED[USER_DEFINED]
    if recipe.name not in _REGISTERED:
        raise DatasetError(f"dataset.name: {recipe.name!r} is not a data set; choose one of {', '.join(names())}")
    return _REGISTERED[recipe.name]
