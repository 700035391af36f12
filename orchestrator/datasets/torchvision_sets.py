"""``fashion_mnist``, ``cifar10``, ``cifar100``: read, and downloaded if missing, by torchvision.

The metadata are constants here, so ``describe`` needs no file. torchvision unpickles the CIFAR files, but only after
their MD5 sums have matched the published ones.
"""

import hashlib
from pathlib import Path

import numpy as np

from orchestrator.datasets.published_files import Published, check_files
from orchestrator.datasets.spec import TEST, TRAIN, ArrayImages, DatasetError, DatasetInfo, DatasetRecipe
from orchestrator.datasets.split import cut_validation, validation_count

_CIFAR10_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}
_CIFAR100_MD5 = {
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "meta": "7973b15100ade9c7d40fb424638fde48",
}
_FASHION_MD5 = {  # of the packed files, as published
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
_FASHION_SIZES = {  # of the unpacked files: a header, then a byte a pixel or a label
    "train-images-idx3-ubyte": 16 + 60_000 * 28 * 28,
    "train-labels-idx1-ubyte": 8 + 60_000,
    "t10k-images-idx3-ubyte": 16 + 10_000 * 28 * 28,
    "t10k-labels-idx1-ubyte": 8 + 10_000,
}

PUBLISHED = {
    "cifar10": Published(
        torchvision_class="CIFAR10",
        classes=10,
        image_shape=(3, 32, 32),
        train_images=50_000,
        test_images=10_000,
        folder="cifar-10-batches-py",
        files=tuple(_CIFAR10_MD5),
        md5=_CIFAR10_MD5,
        archives={"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"},
    ),
    "cifar100": Published(
        torchvision_class="CIFAR100",
        classes=100,
        image_shape=(3, 32, 32),
        train_images=50_000,
        test_images=10_000,
        folder="cifar-100-python",
        files=tuple(_CIFAR100_MD5),
        md5=_CIFAR100_MD5,
        archives={"cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85"},
    ),
    "fashion_mnist": Published(
        torchvision_class="FashionMNIST",
        classes=10,
        image_shape=(1, 28, 28),
        train_images=60_000,
        test_images=10_000,
        folder="FashionMNIST/raw",
        files=tuple(name.removesuffix(".gz") for name in _FASHION_MD5),
        md5=_FASHION_MD5,
        archives=_FASHION_MD5,
        packed_in="FashionMNIST/raw",
        sizes=_FASHION_SIZES,
    ),
}


def describe(recipe: DatasetRecipe) -> DatasetInfo:
    """Returns the set's metadata; the fingerprint is of the name and the published checksums."""
    published = PUBLISHED[recipe.name]
    checksums = "\n".join(f"{name} {md5}" for name, md5 in sorted(published.md5.items()))
    cut = validation_count(published.train_images, published.classes, recipe.validation)
    return DatasetInfo(
        classes=published.classes,
        image_shape=published.image_shape,
        fingerprint=hashlib.sha256(f"{recipe.name}\n{checksums}".encode()).hexdigest(),
        train_images=published.train_images - cut,
        test_images=published.test_images,
    )


def check_present(recipe: DatasetRecipe) -> None:
    """Check the set's files.

    Raises:
        DatasetError: when they differ from the published ones, lie in another folder, or are missing and
            ``dataset.download`` is false.
    """
    missing = _missing(recipe)
    if missing and not recipe.download:
        raise DatasetError(_absent(recipe, missing, "dataset.download is false"))


def load(recipe: DatasetRecipe) -> ArrayImages:
    """Returns the set, downloaded first if needed and allowed.

    Raises:
        DatasetError: when the download fails or files are damaged.
    """
    check_present(recipe)
    published = PUBLISHED[recipe.name]
    # Slow to import, and not needed by a run whose data are stored already.
    import torchvision.datasets

    dataset_class = getattr(torchvision.datasets, published.torchvision_class)
    try:
        parts = [dataset_class(recipe.root, train=train, download=recipe.download) for train in (True, False)]
    except (OSError, RuntimeError, ValueError, AssertionError, LookupError) as error:
        missing = _missing(recipe)
        if missing:
            raise DatasetError(_absent(recipe, missing, f"the download failed: {error}")) from error
        folder = Path(recipe.root, published.folder)
        raise DatasetError(f"{folder}: files are damaged ({error}); remove the folder and fetch it again") from error

    channels, height, width = published.image_shape
    images = np.concatenate([np.ascontiguousarray(part.data).reshape(-1, height, width, channels) for part in parts])
    labels = np.concatenate([np.asarray(part.targets, dtype=np.int64) for part in parts])
    subset = np.repeat(np.array([TRAIN, TEST], np.uint8), [len(part.data) for part in parts])
    found, expected = [len(part.data) for part in parts], [published.train_images, published.test_images]
    if found != expected or len(labels) != len(images):  # torchvision checks no sum of Fashion-MNIST's unpacked files
        raise DatasetError(
            f"{Path(recipe.root, published.folder)}: expected {expected} training and test images, found {found} "
            f"and {len(labels)} labels; remove the folder and fetch it again"
        )
    return ArrayImages(
        images=images,
        labels=labels,
        subset=cut_validation(labels, subset, recipe.validation, recipe.cut_seed),
        severity=None,
        class_names=tuple(parts[0].classes),
    )


def _missing(recipe: DatasetRecipe) -> list[str]:
    published = PUBLISHED[recipe.name]
    return check_files(published, recipe.root, recipe.download)


def _absent(recipe: DatasetRecipe, missing: list[str], why: str) -> str:
    published = PUBLISHED[recipe.name]
    return (
        f"dataset.root: {recipe.name} is not in {recipe.root!r}: no {', '.join(missing)} in {published.folder}/, "
        f"and {why}. Put the files there, point dataset.root at the folder that holds {published.folder}/, "
        "or run once with dataset.download: true on a machine with network access"
    )
