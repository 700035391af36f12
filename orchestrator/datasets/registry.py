"""The data sets that a recipe can name, and the questions that each answers."""

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.datasets.spec import ArrayImages, DatasetError, DatasetInfo, DatasetRecipe, FileImages
from orchestrator.user_code import is_user_defined

USER_DEFINED = "module:callable"
"""The entry for data sets of a person's own; their names have a colon."""


@dataclass(frozen=True)
class Dataset:
    """One data set: three functions of the recipe, described where this module offers them by name."""

    describe: Callable[[DatasetRecipe], DatasetInfo]
    check_present: Callable[[DatasetRecipe], None]
    load: Callable[[DatasetRecipe], ArrayImages | FileImages]


_REGISTERED: dict[str, Dataset] = {}


def register(name: str, dataset: Dataset) -> None:
    """Make a data set known. Raises ValueError if the name is taken."""
    if name in _REGISTERED:
        raise ValueError(f"data set {name!r} is registered twice; give one of them another name")
    _REGISTERED[name] = dataset


def names() -> list[str]:
    """The registered names, sorted; ``USER_DEFINED`` stands for those of a person's own."""
    return sorted(_REGISTERED)


def describe(recipe: DatasetRecipe) -> DatasetInfo:
    """What the set holds, without reading an image; imports neither torch nor torchvision.

    An image_folder is listed; a torchvision set need not be there yet. Raises DatasetError.
    """
    return _find(recipe).describe(recipe)


def check_present(recipe: DatasetRecipe) -> None:
    """Raise DatasetError if ``load`` could not find its files, or would find others; downloads nothing."""
    _find(recipe).check_present(recipe)


def load(recipe: DatasetRecipe) -> ArrayImages | FileImages:
    """Read the set (downloading it if the recipe allows) with validation cut. Raises DatasetError."""
    return _find(recipe).load(recipe)


def _find(recipe: DatasetRecipe) -> Dataset:
    if is_user_defined(recipe.name):
        return _REGISTERED[USER_DEFINED]
    if recipe.name not in _REGISTERED:
        raise DatasetError(f"dataset.name: {recipe.name!r} is not a data set; choose one of {', '.join(names())}")
    return _REGISTERED[recipe.name]
