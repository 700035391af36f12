"""``image_folder``: photos in ROOT/train/<class>/ and in val (or valid), test, or both beside it.

With both a validation and a test folder (CINIC-10) each is used as such. A single one (ImageNet has only val) is the
test set, and validation is cut from train. Subfolders of a class belong to it. A val or test folder without class
folders is read if ImageNet's labels file lies beside it.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from orchestrator.datasets import decoding
from orchestrator.datasets.checks import class_notes
from orchestrator.datasets.decoding import decode as decode  # part of this module's interface
from orchestrator.datasets.folders import (
    EXTENSIONS,
    Folder,
    LeftOut,
    images_below,
    printable,
    read_folder,
    refused_by_name,
)
from orchestrator.datasets.labels_file import find_labels_file, read_labels
from orchestrator.datasets.photos import FolderPhotos
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
from orchestrator.datasets.split import cut_validation

INNER = "images"
"""The one folder in Tiny ImageNet's val/, which is not a class."""


def describe(recipe: DatasetRecipe) -> DatasetInfo:
    """Returns the set's metadata from a listing of its folders.

    The fingerprint is of the decoder's version and the relative paths and sizes of all files: it stays when the set is
    moved, and does not change when a file is replaced by another one of the same size.
    """
    listing = _list(recipe.root)
    loaded = _cut(listing, recipe)
    edge = recipe.image_size or DEFAULT_IMAGE_SIZE
    return DatasetInfo(
        classes=len(listing.class_names),
        image_shape=(3, edge, edge),
        fingerprint=_fingerprint(listing),
        train_images=int(np.sum(loaded.subset == TRAIN)),
        test_images=int(np.sum(loaded.subset == TEST)),
        class_names=tuple(listing.class_names),
        notes=(*listing.left_out.notes(), *class_notes(loaded.labels, loaded.subset, loaded.class_names)),
    )


def check_present(recipe: DatasetRecipe) -> None:
    """Check that the required folders exist.

    Raises:
        DatasetError: when one is missing.
    """
    _find_folders(recipe.root)


def load(recipe: DatasetRecipe) -> FileImages:
    """Returns the files, ordered by folder, class and name; no image is opened."""
    return _cut(_list(recipe.root), recipe)


@dataclass
class _Listing:
    """All files of a set; ``paths``, ``sizes`` (bytes), ``labels`` and ``subset`` run in parallel."""

    class_names: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    subset: list[int] = field(default_factory=list)
    by_file: set[str] = field(default_factory=set)  # paths whose label comes from a labels file, not from the path
    left_out: LeftOut = field(default_factory=LeftOut)

    def add(self, path: str, size: int, label: int, subset: int) -> None:
        self.paths.append(path)
        self.sizes.append(size)
        self.labels.append(label)
        self.subset.append(subset)


def _cut(listing: _Listing, recipe: DatasetRecipe) -> FileImages:
    labels = np.array(listing.labels, np.int64)
    subset = np.array(listing.subset, np.uint8)
    return FileImages(
        photos=FolderPhotos(recipe.root, listing.paths),
        place=recipe.root,
        labels=labels,
        subset=cut_validation(labels, subset, recipe.validation, recipe.seed),
        class_names=tuple(listing.class_names),
    )


def _fingerprint(listing: _Listing) -> str:
    digest = hashlib.sha256(f"decoder {decoding.VERSION}\n".encode())
    for path, size, label in sorted(zip(listing.paths, listing.sizes, listing.labels, strict=True)):
        known = [path, str(size), *([listing.class_names[label]] if path in listing.by_file else [])]
        digest.update(("\0".join(known) + "\n").encode("utf-8", "surrogateescape"))  # file names may hold any byte
    return digest.hexdigest()


def _list(root: str) -> _Listing:
    listing = _Listing()
    for name, subset in _find_folders(root).items():
        folder = Path(root, name)
        found = read_folder(folder, listing.left_out)
        flat = _flat_images(folder, found, listing.class_names) if subset != TRAIN else None
        if flat is not None:
            _take_labelled(folder, flat, Path(root), subset, listing)
            continue
        if subset == TRAIN:
            listing.class_names = found.folders
        _check_classes(folder, found.folders, listing.class_names, len(found.images))
        if found.images:
            listing.left_out.loose[name] = len(found.images)
        for label, class_name in enumerate(listing.class_names):
            if class_name in found.folders:
                _take_class(folder / class_name, f"{name}/{class_name}", label, subset, listing)
        if subset not in listing.subset:
            raise DatasetError(f"{folder}: no image in its class folders; add images")
    return listing


def _take_class(folder: Path, prefix: str, label: int, subset: int, listing: _Listing) -> None:
    others = LeftOut()
    files = images_below(folder, others)
    if not files and subset == TRAIN:
        holds = "".join(f"; {note}" for note in others.notes())
        raise DatasetError(
            f"{folder}: no image in this class folder (looked for {', '.join(EXTENSIONS)}{holds}); add images or "
            "remove the folder"
        )
    listing.left_out.add(others)
    for name, size in files:
        listing.add(f"{prefix}/{name}", size, label, subset)


def _flat_images(folder: Path, found: Folder, classes: list[str]) -> tuple[str, dict[str, int]] | None:
    """Returns the subfolder and the sizes by name of the images of a folder without class folders; else None."""
    if found.images and not found.folders:
        return "", dict(found.images)
    if found.folders == [INNER] and INNER not in classes:
        inner = read_folder(folder / INNER, LeftOut())
        if inner.images and not inner.folders:
            return INNER, dict(inner.images)
    return None


def _take_labelled(folder: Path, flat: tuple[str, dict[str, int]], root: Path, subset: int, listing: _Listing) -> None:
    below, sizes = flat
    place = folder / below
    classes = {name: label for label, name in enumerate(listing.class_names)}
    file = find_labels_file(place, root, len(sizes))
    if file.parent == folder:  # counted there among the files that are no images
        listing.left_out.endings -= Counter([file.suffix.lower()])
    for image, class_name in sorted(read_labels(file, place, list(sizes), listing.class_names).items()):
        path = (Path(folder.name) / below / image).as_posix()
        listing.add(path, sizes[image], classes[class_name], subset)
        listing.by_file.add(path)


def _find_folders(root: str) -> dict[str, int]:
    """Returns the folders to read, train first, and the subset of each."""
    with refused_by_name(Path(root)):
        if not Path(root).is_dir():
            raise DatasetError(f"dataset.root: {root!r} is not a folder; point it at the folder that holds train/")
        present = [name for name in ("train", "val", "valid", "test") if _is_folder(Path(root, name))]
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


def _is_folder(path: Path) -> bool:
    """Returns True if the folder exists. Anything else of that name is an error: the set would be split otherwise."""
    if path.is_symlink() and not path.exists():
        raise DatasetError(f"{path}: a link that leads nowhere (to {path.readlink()}); mend it or remove it")
    if path.exists() and not path.is_dir():
        raise DatasetError(f"{path}: not a folder; rename the file, or put a folder of class folders in its place")
    return path.is_dir()


def _check_classes(folder: Path, found: list[str], known: list[str], loose: int) -> None:
    lie = f", and {loose:,} images in {folder.name}/ itself" if loose else ""
    if len(known) < 2:
        raise DatasetError(
            f"{folder}: {len(known)} class folders found{lie}; at least 2 are needed, as <class>/<image>"
        )
    unprintable = [name for name in known if printable(name) != name]
    if unprintable:
        raise DatasetError(f"{folder}: a class folder's name is not UTF-8 ({printable(unprintable[0])}); rename it")
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise DatasetError(
            f"{folder}: class folders that train/ lacks: {', '.join(unknown)}; add them to train/ or remove them here"
        )
