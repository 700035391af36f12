"""The functions of a data set, found by the name in the recipe; ``names.py`` lists the modules that have them."""

from importlib import import_module
from typing import Protocol, cast

from orchestrator.datasets.names import MODULES, USER_DEFINED
from orchestrator.datasets.spec import ArrayImages, DatasetError, DatasetInfo, DatasetRecipe, FileImages
from orchestrator.user_code import is_user_defined


class Dataset(Protocol):
    """A module with the functions of a data set, which are those below of the same names."""

    def describe(self, recipe: DatasetRecipe) -> DatasetInfo: ...

    def check_present(self, recipe: DatasetRecipe) -> None: ...

    def load(self, recipe: DatasetRecipe) -> ArrayImages | FileImages: ...


def names() -> list[str]:
    """Returns the names, sorted; ``USER_DEFINED`` stands for user-defined ones."""
    return sorted(MODULES)


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
    name = USER_DEFINED if is_user_defined(recipe.name) else recipe.name
    if name not in MODULES:
        raise DatasetError(f"dataset.name: {name!r} is not a data set; choose one of {', '.join(names())}")
    return cast(Dataset, import_module(f"orchestrator.datasets.{MODULES[name]}"))
