"""The sets that torchvision reads: absent, damaged, tiny, and real where they are at hand."""

import os
import pickle
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from orchestrator.datasets import TEST, TRAIN, ArrayImages, DatasetError, DatasetRecipe, check_present, describe, load
from orchestrator.datasets.torchvision_sets import PUBLISHED
from tests.datasets.conftest import write_fashion_mnist


@pytest.mark.parametrize("name", PUBLISHED)
def test_absent_files_are_an_error_at_once_where_no_download_is_allowed(name: str, tmp_path: Path) -> None:
    recipe = DatasetRecipe(name=name, root=str(tmp_path), download=False)
    for ask in (check_present, load):
        with pytest.raises(DatasetError) as error:
            ask(recipe)
        message = str(error.value)
        assert str(tmp_path) in message and PUBLISHED[name].folder in message
        assert all(file in message for file in PUBLISHED[name].files)
        assert "dataset.download: true" in message


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_download_that_fails_says_so_and_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*args: object, **kwargs: object) -> None:
        raise URLError("no network")

    for module in ("cifar", "mnist"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", no_network)
    recipe = DatasetRecipe(name=name, root=str(tmp_path))
    check_present(recipe)
    with pytest.raises(DatasetError, match=r"(?s)download failed.*no network.*Put the files there"):
        load(recipe)


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_we_hold_as_published_is_what_torchvision_checks(name: str) -> None:
    import torchvision.datasets

    theirs = getattr(torchvision.datasets, PUBLISHED[name].torchvision_class)
    if name == "fashion_mnist":
        expected = dict(theirs.resources)
    else:
        expected = {**dict(theirs.train_list + theirs.test_list), theirs.meta["filename"]: theirs.meta["md5"]}
        assert theirs.base_folder == PUBLISHED[name].folder
    assert PUBLISHED[name].md5 == expected


def test_the_fingerprint_is_the_same_before_and_after_the_files_are_there(tmp_path: Path) -> None:
    recipe = DatasetRecipe(name="fashion_mnist", root=str(tmp_path))
    before = describe(recipe)
    write_fashion_mnist(tmp_path, 20, 10)
    assert describe(recipe) == before
    assert len({describe(DatasetRecipe(name=name)).fingerprint for name in PUBLISHED}) == len(PUBLISHED)


def test_fashion_mnist_of_another_size_is_refused(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path, 20, 10)
    with pytest.raises(DatasetError, match=r"expected \[60000, 10000\] .* found \[20, 10\]"):
        load(DatasetRecipe(name="fashion_mnist", root=str(tmp_path), download=False))


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_damaged_cifar_files_are_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / PUBLISHED[name].folder
    folder.mkdir()
    for file in PUBLISHED[name].files:
        (folder / file).write_bytes(b"not a batch")
    with pytest.raises(DatasetError, match=r"files are damaged.*remove the folder"):
        load(DatasetRecipe(name=name, root=str(tmp_path), download=False))


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_planes_become_images_and_fine_labels_are_the_classes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = PUBLISHED[name]
    folder = tmp_path / published.folder
    folder.mkdir()
    batches = [file for file in published.files if "meta" not in file]
    planes = np.repeat(np.array([10, 20, 30], np.uint8), 32 * 32)  # red, green, blue
    key = "labels" if name == "cifar10" else "fine_labels"
    per_batch = 2 * published.classes
    for file in batches:
        labels = [number % published.classes for number in range(per_batch)]
        (folder / file).write_bytes(pickle.dumps({"data": np.tile(planes, (per_batch, 1)), key: labels}))
    class_names = [f"class {number}" for number in range(published.classes)]
    names_key = "label_names" if name == "cifar10" else "fine_label_names"
    (folder / published.files[-1]).write_bytes(pickle.dumps({names_key: class_names}))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5=None: True)
    tiny = replace(published, train_images=per_batch * (len(batches) - 1), test_images=per_batch)
    monkeypatch.setitem(PUBLISHED, name, tiny)

    loaded = load(DatasetRecipe(name=name, root=str(tmp_path), download=False))
    assert isinstance(loaded, ArrayImages)
    assert loaded.images.shape == (per_batch * len(batches), 32, 32, 3)
    assert np.all(loaded.images == [10, 20, 30])
    assert loaded.class_names == tuple(class_names)
    assert np.sum(loaded.subset == TEST) == per_batch


@pytest.mark.skipif("CIFAR10_ROOT" not in os.environ, reason="CIFAR10_ROOT names no folder with cifar-10-batches-py")
def test_the_real_cifar10_has_its_published_size_and_classes() -> None:
    loaded = load(DatasetRecipe(name="cifar10", root=os.environ["CIFAR10_ROOT"], download=False, validation=5000))
    assert isinstance(loaded, ArrayImages)
    assert np.bincount(loaded.subset).tolist() == [45_000, 5_000, 10_000]
    assert np.bincount(loaded.labels[loaded.subset == TRAIN]).tolist() == [4_500] * 10
    assert loaded.class_names[3] == "cat"
    # The channel means that CIFAR-10 recipes normalise with.
    means = loaded.images[loaded.subset != TEST].mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=1e-4)
