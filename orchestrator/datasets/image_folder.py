"""``image_folder``: photos in ROOT/train/<class>/ and in val (or valid), test, or both beside it.

With both a validation and a test folder (CINIC-10) each is used as such. A single one (ImageNet has only val) is the
test set, and validation is cut from train. Subfolders of a class belong to it. A val or test folder without class
folders is read if ImageNet's labels file lies beside it. The root is a folder, or the URI of one in an object store.
"""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.datasets import decoding
from orchestrator.datasets.bucket import AnyPath, place_of
from orchestrator.datasets.decoding import decode as decode  # part of this module's interface
from orchestrator.datasets.folders import (
    EXTENSIONS,
    Folder,
    LeftOut,
    Stamps,
    images_below,
    printable,
    read_folder,
    refused_by_name,
    stamp,
)
from orchestrator.datasets.labels_file import find_labels_file, read_labels
from orchestrator.datasets.listing import Listing, Manifest, counts_of, one_each, table_of
from orchestrator.datasets.photos import BucketPhotos, FolderPhotos, Paths, Photos
from orchestrator.datasets.spec import TEST, TRAIN, VALIDATION, DatasetError, DatasetRecipe
from orchestrator.locations import is_uri

SUBSETS = ("train", "val", "valid", "test")
INNER = "images"
"""The one folder in Tiny ImageNet's val/, which is not a class."""

LISTERS = 16  # folders that are listed at once: a file server or an object store answers them side by side


def scan(recipe: DatasetRecipe) -> Listing:
    """Returns the set's files, ordered by folder, class and name; no image is opened.

    The fingerprint is of the decoder's version and the relative paths and sizes of all files: it stays when the set is
    moved, and does not change when a file is replaced by another one of the same size.
    """
    began = time.time()
    found = _list(place_of(recipe.root))
    names = tuple(found.class_names)
    files = table_of([os.fsencode(path) for path in found.paths], found.sizes, found.subset, one_each(found.labels))
    counts = counts_of(files, len(names))
    manifest = Manifest(
        class_names=names,
        counts=counts,
        fingerprint=_fingerprint(found),
        notes=tuple(found.left_out.notes()),
        stamps={os.path.relpath(path, recipe.root): text for path, text in found.stamps.items()},
        listed=began,
    )
    return Listing(manifest, files)


def stamps(recipe: DatasetRecipe, known: Manifest) -> dict[str, str]:
    """Returns the stamps of the folders that were listed; those of an object store have none."""

    def look(path: str) -> str:
        try:
            return _present(Path(recipe.root)) if path == "." else stamp(Path(recipe.root, path))
        except OSError:
            return "not there"

    with ThreadPoolExecutor(LISTERS) as pool:
        return dict(zip(known.stamps, pool.map(look, known.stamps), strict=True))


def photos(recipe: DatasetRecipe, listing: Listing) -> Photos:
    """Returns the photos, read from their files."""
    paths, sizes = Paths(listing.files["path"]), listing.files["size"].to_numpy()
    return (BucketPhotos if is_uri(recipe.root) else FolderPhotos)(recipe.root, paths, sizes)


@dataclass
class _Found:
    """All files of a set; ``paths``, ``sizes`` (bytes), ``labels`` and ``subset`` run in parallel."""

    class_names: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    subset: list[int] = field(default_factory=list)
    by_file: set[str] = field(default_factory=set)  # paths whose label comes from a labels file, not from the path
    left_out: LeftOut = field(default_factory=LeftOut)
    stamps: Stamps = field(default_factory=dict)

    def add(self, path: str, size: int, label: int, subset: int) -> None:
        self.paths.append(path)
        self.sizes.append(size)
        self.labels.append(label)
        self.subset.append(subset)


def _fingerprint(found: _Found) -> str:
    digest = hashlib.sha256(f"decoder {decoding.VERSION}\n".encode())
    for path, size, label in sorted(zip(found.paths, found.sizes, found.labels, strict=True)):
        known = [path, str(size), *([found.class_names[label]] if path in found.by_file else [])]
        digest.update(("\0".join(known) + "\n").encode("utf-8", "surrogateescape"))  # file names may hold any byte
    return digest.hexdigest()


def _list(root: AnyPath) -> _Found:
    found = _Found()
    for name, subset in _find_folders(root).items():
        folder = root / name
        here = read_folder(folder, found.left_out, found.stamps)
        flat = _flat_images(folder, here, found) if subset != TRAIN else None
        if flat is not None:
            _take_labelled(folder, flat, root, subset, found)
            continue
        if subset == TRAIN:
            found.class_names = here.folders
        _check_classes(folder, here.folders, found.class_names, len(here.images))
        if here.images:
            found.left_out.loose[name] = len(here.images)
        _take_classes(folder, here.folders, subset, found)
        if subset not in found.subset:
            raise DatasetError(f"{folder}: no image in its class folders; add images")
    if isinstance(root, Path):
        found.stamps[str(root)] = _present(root)
    return found


def _take_classes(folder: AnyPath, names: Sequence[str], subset: int, found: _Found) -> None:
    labels = {name: label for label, name in enumerate(found.class_names)}

    def look(name: str) -> tuple[list[tuple[str, int]], LeftOut, Stamps]:
        left_out, stamps = LeftOut(), Stamps()
        return images_below(folder / name, left_out, stamps), left_out, stamps

    with ThreadPoolExecutor(LISTERS) as pool:
        for name, (images, left_out, stamps) in zip(names, pool.map(look, names), strict=True):
            if not images and subset == TRAIN:
                holds = "".join(f"; {note}" for note in left_out.notes())
                raise DatasetError(
                    f"{folder / name}: no image in this class folder (looked for {', '.join(EXTENSIONS)}{holds}); add "
                    "images or remove the folder"
                )
            found.left_out.add(left_out)
            found.stamps |= stamps
            for path, size in images:
                found.add(f"{folder.name}/{name}/{path}", size, labels[name], subset)


def _flat_images(folder: AnyPath, here: Folder, found: _Found) -> tuple[str, dict[str, int]] | None:
    """Returns the subfolder and the sizes by name of the images of a folder without class folders; else None."""
    if here.images and not here.folders:
        return "", dict(here.images)
    if here.folders == [INNER] and INNER not in found.class_names:
        inner = read_folder(folder / INNER, LeftOut(), found.stamps)
        if inner.images and not inner.folders:
            return INNER, dict(inner.images)
    return None


def _take_labelled(
    folder: AnyPath, flat: tuple[str, Mapping[str, int]], root: AnyPath, subset: int, found: _Found
) -> None:  # fmt: skip
    below, sizes = flat
    place = folder / below if below else folder
    classes = {name: label for label, name in enumerate(found.class_names)}
    file = find_labels_file(place, root, len(sizes))
    if isinstance(file, Path):
        found.stamps[str(file)] = stamp(file)
    if file.parent == folder:  # counted there among the files that are no images
        found.left_out.endings -= Counter([file.suffix.lower()])
    for image, class_name in sorted(read_labels(file, place, list(sizes), found.class_names).items()):
        path = "/".join(part for part in (folder.name, below, image) if part)
        found.add(path, sizes[image], classes[class_name], subset)
        found.by_file.add(path)


def _present(root: Path) -> str:
    """Returns the stamp of a set's root: the folders that are there of those that could be part of the set."""
    return " ".join(name for name in SUBSETS if (root / name).is_dir())


def _find_folders(root: AnyPath) -> dict[str, int]:
    """Returns the folders to read, train first, and the subset of each."""
    with refused_by_name(root):
        if not root.is_dir():
            raise DatasetError(f"dataset.root: '{root}' is not a folder; point it at the folder that holds train/")
        present = [name for name in SUBSETS if _is_folder(root / name)]
    if "train" not in present:
        raise DatasetError(f"dataset.root: '{root}' has no folder train/; it must hold train/<class>/<image>")
    if "val" in present and "valid" in present:
        raise DatasetError(f"dataset.root: '{root}' has both val/ and valid/; keep the one to be used")
    held_out = present[1:]
    if not held_out:
        raise DatasetError(
            f"dataset.root: '{root}' has train/ but neither val/, valid/ nor test/; final accuracy needs images that "
            "no network has seen: add one of them, with one folder a class"
        )
    if len(held_out) == 1:
        return {"train": TRAIN, held_out[0]: TEST}
    return {"train": TRAIN, held_out[0]: VALIDATION, held_out[1]: TEST}


def _is_folder(path: AnyPath) -> bool:
    """Returns True if the folder exists. Anything else of that name is an error: the set would be split otherwise."""
    if isinstance(path, Path) and path.is_symlink() and not path.exists():
        raise DatasetError(f"{path}: a link that leads nowhere (to {path.readlink()}); mend it or remove it")
    if path.is_dir():
        return True
    if path.is_file() or (isinstance(path, Path) and path.exists()):
        raise DatasetError(f"{path}: not a folder; rename the file, or put a folder of class folders in its place")
    return False


def _check_classes(folder: AnyPath, found: list[str], known: list[str], loose: int) -> None:
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
