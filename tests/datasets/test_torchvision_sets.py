"""Sets read by torchvision: missing, damaged, tiny, and the real ones where available."""

import gzip
import hashlib
import os
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from orchestrator.datasets import TEST, TRAIN, ArrayImages, DatasetError, DatasetRecipe, check_present, describe, load
from orchestrator.datasets.torchvision_sets import PUBLISHED


def example(name: str, folder: Path) -> DatasetRecipe:
    if name == "fashion_mnist":
        write_fashion_mnist(folder, 60_000, 10_000)
        return DatasetRecipe(name=name, root=str(folder), download=False)
    variable = f"{name.upper()}_ROOT"
    if variable not in os.environ:
        pytest.skip(f"torchvision reads none but the real files; {variable} names no folder that holds them")
    return DatasetRecipe(name=name, root=os.environ[variable], download=False)


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
def test_a_failed_download_is_reported_with_the_remedy(
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
def test_the_published_checksums_are_those_of_torchvision(name: str) -> None:
    import torchvision.datasets

    theirs = getattr(torchvision.datasets, PUBLISHED[name].torchvision_class)
    if name == "fashion_mnist":
        expected = dict(theirs.resources)
    else:
        expected = {**dict(theirs.train_list + theirs.test_list), theirs.meta["filename"]: theirs.meta["md5"]}
        assert theirs.base_folder == PUBLISHED[name].folder
        assert PUBLISHED[name].archives == {theirs.filename: theirs.tgz_md5}
    assert PUBLISHED[name].md5 == expected


def test_the_fingerprint_is_the_same_before_and_after_the_files_are_there(tmp_path: Path) -> None:
    recipe = DatasetRecipe(name="fashion_mnist", root=str(tmp_path))
    before = describe(recipe)
    write_fashion_mnist(tmp_path, 20, 10)
    assert describe(recipe) == before
    assert len({describe(DatasetRecipe(name=name)).fingerprint for name in PUBLISHED}) == len(PUBLISHED)


def test_fashion_mnist_of_another_size_is_refused(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path, 20, 10)
    words = (
        r"train-images-idx3-ubyte: damaged, or not a file of FashionMNIST: 15,696 bytes, published is 47,040,016 bytes"
    )
    for ask in (check_present, load):
        with pytest.raises(DatasetError, match=words):
            ask(DatasetRecipe(name="fashion_mnist", root=str(tmp_path)))


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("download", [True, False])
def test_files_with_another_checksum_are_named_before_anything_is_downloaded(
    name: str, download: bool, tmp_path: Path
) -> None:
    folder = tmp_path / PUBLISHED[name].folder
    folder.mkdir()
    for file in PUBLISHED[name].files:
        (folder / file).write_bytes(b"not a batch")
    first = PUBLISHED[name].files[0]
    published = PUBLISHED[name].md5[first]
    words = rf"{first}: damaged, or not a file of CIFAR.*: MD5 \w+, published is MD5 {published}; remove it"
    for ask in (check_present, load):
        with pytest.raises(DatasetError, match=words):
            ask(DatasetRecipe(name=name, root=str(tmp_path), download=download))


def test_a_packed_file_under_the_unpacked_name_is_reported_as_packed(tmp_path: Path) -> None:
    folder = tmp_path / PUBLISHED["fashion_mnist"].folder
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte").write_bytes(gzip.compress(b"pixels"))
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte: .*; it is packed by gzip: unpack it"):
        check_present(DatasetRecipe(name="fashion_mnist", root=str(tmp_path)))


@pytest.mark.parametrize("name", PUBLISHED)
def test_archives_are_unpacked_where_a_download_is_allowed_and_else_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = PUBLISHED[name]
    archive = tmp_path / published.packed_in / next(iter(published.archives))
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(b"half of it")
    allowed, offline = (DatasetRecipe(name=name, root=str(tmp_path), download=download) for download in (True, False))
    for recipe in (allowed, offline):
        with pytest.raises(DatasetError, match=rf"{archive.name}: damaged, or not .*: MD5 \w+, published is MD5 \w+"):
            check_present(recipe)
    whole = hashlib.md5(b"half of it", usedforsecurity=False).hexdigest()
    monkeypatch.setitem(PUBLISHED, name, replace(published, archives={archive.name: whole}))
    check_present(allowed)
    with pytest.raises(DatasetError, match=f"{archive.name}: still packed, and dataset.download is false; unpack it"):
        check_present(offline)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("download", [True, False])
def test_files_that_lie_in_another_folder_are_found(name: str, download: bool, tmp_path: Path) -> None:
    published = PUBLISHED[name]

    def asked(root: Path, file: Path) -> str:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"something")
        with pytest.raises(DatasetError) as caught:
            check_present(DatasetRecipe(name=name, root=str(root), download=download))
        return str(caught.value)

    right = tmp_path / "a" / published.folder
    deep = asked(right, right / published.files[0])
    assert f"lie in {right} ({published.files[0]})" in deep and f"set dataset.root to {tmp_path / 'a'}" in deep
    flat = tmp_path / "b"
    assert f"move them to {flat / published.folder}" in asked(flat, flat / published.files[0])
    archive = next(iter(published.archives))
    lost = tmp_path / "c" / published.folder.split("/")[0]
    moved = asked(tmp_path / "c", lost / archive)
    assert archive in moved and f"move them to {tmp_path / 'c' / published.packed_in}" in moved


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
    sums = {
        file: hashlib.md5((folder / file).read_bytes(), usedforsecurity=False).hexdigest() for file in published.md5
    }
    tiny = replace(published, train_images=per_batch * (len(batches) - 1), test_images=per_batch, md5=sums)
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
