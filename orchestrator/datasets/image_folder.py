"""`image_folder`: photos in ROOT/train/<class>/ and beside it val (or valid), test, or both.

With a validation and a test folder (CINIC-10) each is what its name says. With one of them (ImageNet has only val) it
is the test set, and validation is cut from train.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from orchestrator.datasets.registry import Dataset, register
from orchestrator.datasets.spec import (
    DEFAULT_IMAGE_SIZE,
    TEST,
    TRAIN,
    VALIDATION,
    DatasetError,
    DatasetInfo,
    DatasetRecipe,
    FileImages,
)
from orchestrator.datasets.split import cut_validation, validation_count

if TYPE_CHECKING:
    from PIL import Image

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""In small or capital letters."""


def describe(recipe: DatasetRecipe) -> DatasetInfo:
    """List the folders; the fingerprint is of the relative paths and sizes of all files, so moving the set keeps it.

    A file replaced by another one of the same size is not noticed.
    """
    listing = _list(recipe.root)
    digest = hashlib.sha256()
    for path, size in sorted(zip(listing.paths, listing.sizes, strict=True)):
        digest.update(f"{path}\0{size}\n".encode("utf-8", "surrogateescape"))  # file names may hold any byte
    train_images = listing.subset.count(TRAIN)
    if VALIDATION not in listing.subset:
        train_images -= validation_count(train_images, len(listing.class_names), recipe.validation)
    edge = recipe.image_size or DEFAULT_IMAGE_SIZE
    return DatasetInfo(
        classes=len(listing.class_names),
        image_shape=(3, edge, edge),
        fingerprint=digest.hexdigest(),
        train_images=train_images,
        test_images=listing.subset.count(TEST),
        class_names=tuple(listing.class_names),
    )


def check_present(recipe: DatasetRecipe) -> None:
    """Raise DatasetError if the folders that are needed are not there."""
    _find_folders(recipe.root)


def load(recipe: DatasetRecipe) -> FileImages:
    """The files, ordered by folder, class and name; no image is opened."""
    listing = _list(recipe.root)
    labels = np.array(listing.labels, np.int64)
    subset = np.array(listing.subset, np.uint8)
    return FileImages(
        root=recipe.root,
        paths=listing.paths,
        labels=labels,
        subset=cut_validation(labels, subset, recipe.validation, recipe.seed),
        class_names=tuple(listing.class_names),
    )


def probe(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Decode an image in full and return its (width, height) in pixels. Raises DatasetError if it is broken."""
    return _decode(path).size


def decode(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """The image as uint8 (height, width, 3), in RGB whatever the file holds. Raises DatasetError if it is broken.

    A rotation noted in the file's metadata is not applied, as is usual for ImageNet.
    """
    return np.array(_decode(path).convert("RGB"))


def _decode(path: str | os.PathLike[str]) -> "Image.Image":
    import struct
    import zlib

    from PIL import Image
    from PIL.Image import DecompressionBombError as TooLarge

    try:
        with Image.open(path) as image:
            image.load()  # `open` reads the header alone; a truncated file fails here
            return image
    # What Pillow's decoders are known to raise; a lack of memory must not pass for a broken file.
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, TooLarge) as error:
        raise DatasetError(
            f"{os.fspath(path)}: not a whole image ({error}); replace it, remove it, or set dataset.skip_broken: true"
        ) from error


@dataclass
class _Listing:
    """All files of a set; `paths`, `sizes` (bytes), `labels` and `subset` run in parallel."""

    class_names: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    subset: list[int] = field(default_factory=list)


def _list(root: str) -> _Listing:
    listing = _Listing()
    for folder, subset in _find_folders(root).items():
        found = _folders(Path(root, folder))
        if subset == TRAIN:
            listing.class_names = found
        _check_classes(Path(root, folder), found, listing.class_names)
        for label, class_name in enumerate(listing.class_names):
            if class_name not in found:
                continue
            files = _image_files(Path(root, folder, class_name))
            if not files and subset == TRAIN:
                raise DatasetError(
                    f"{Path(root, folder, class_name)}: no image in this class folder (looked for "
                    f"{', '.join(EXTENSIONS)}); add images or remove the folder"
                )
            for name, size in files:
                listing.paths.append(f"{folder}/{class_name}/{name}")
                listing.sizes.append(size)
                listing.labels.append(label)
                listing.subset.append(subset)
        if subset not in listing.subset:
            raise DatasetError(f"{Path(root, folder)}: no image in its class folders; add images")
    return listing


def _find_folders(root: str) -> dict[str, int]:
    """The folders to read, train first, and the subset that each one is."""
    if not Path(root).is_dir():
        raise DatasetError(f"dataset.root: {root!r} is not a folder; point it at the folder that holds train/")
    present = [name for name in ("train", "val", "valid", "test") if Path(root, name).is_dir()]
    if "train" not in present:
        raise DatasetError(f"dataset.root: {root!r} has no folder train/; it must hold train/<class>/<image>")
    if "val" in present and "valid" in present:
        raise DatasetError(f"dataset.root: {root!r} has both val/ and valid/; keep the one to be used")
    held_out = present[1:]
    if not held_out:
        raise DatasetError(
            f"dataset.root: {root!r} has train/ but neither val/, valid/ nor test/; final accuracy needs images that "
            "no network has seen: add one of them, with one folder a class"
        )
    if len(held_out) == 1:
        return {"train": TRAIN, held_out[0]: TEST}
    return {"train": TRAIN, held_out[0]: VALIDATION, held_out[1]: TEST}


def _check_classes(folder: Path, found: list[str], known: list[str]) -> None:
    if len(known) < 2:
        raise DatasetError(f"{folder}: {len(known)} class folders found; at least 2 are needed, as <class>/<image>")
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise DatasetError(
            f"{folder}: class folders that train/ lacks: {', '.join(unknown)}; add them to train/ or remove them here"
        )


@contextmanager
def _entries(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as entries:
            yield entries
    except OSError as error:
        raise DatasetError(
            f"{error.filename or folder}: can't be read ({error.strerror}); see to it, or remove it"
        ) from error


def _folders(folder: Path) -> list[str]:
    with _entries(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _image_files(folder: Path) -> list[tuple[str, int]]:
    """(name, size in bytes), sorted. A link that leads nowhere is kept, with size -1, for `probe` to report."""
    with _entries(folder) as entries:
        return sorted(
            (entry.name, entry.stat().st_size if entry.is_file() else -1)
            for entry in entries
            if entry.name.lower().endswith(EXTENSIONS) and not entry.name.startswith(".") and not entry.is_dir()
        )


register("image_folder", Dataset(describe=describe, check_present=check_present, load=load))
