"""Small stand-ins for each kind of set, in the layouts that the loaders read."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.datasets import DatasetRecipe, FileImages
from orchestrator.datasets.names import MODULES

MakeFolder = Callable[[dict[str, int]], Path]


def write_photos(root: Path, counts: dict[str, int]) -> Path:
    """Write JPEG photos of random noise: {"train/cat": 3} makes three of them in train/cat."""
    pixels = np.random.default_rng(0)
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True)
        for number in range(count):
            photo = Image.fromarray(pixels.integers(0, 256, (20, 24, 3), dtype=np.uint8))
            photo.save(root / folder / f"{number}.jpg")
    return root


def names(loaded: FileImages) -> list[str]:
    """The names of all photos."""
    return [loaded.photos.name(index) for index in range(len(loaded.photos))]


@pytest.fixture
def make_image_folder(tmp_path: Path) -> MakeFolder:
    """``write_photos`` in a folder of the test's own."""
    return lambda counts: write_photos(tmp_path / "photos", counts)


@pytest.fixture
def recipe_that_runs_here(tmp_path: Path) -> Callable[[str], DatasetRecipe]:
    """A recipe for a data set whose ``load`` works on this machine; skips, with the reason, where none can.

    It is the function ``example`` of the set's tests, ``test_<module>.py``.
    """

    def recipe(name: str) -> DatasetRecipe:
        example: Callable[[str, Path], DatasetRecipe] = import_module(f"tests.datasets.test_{MODULES[name]}").example
        return example(name, tmp_path)

    return recipe
