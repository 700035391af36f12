"""Labels of the validation images of ImageNet and Tiny ImageNet, which lie in one folder beside a labels file."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from orchestrator.datasets.bucket import AnyPath
from orchestrator.datasets.folders import refused_by_name
from orchestrator.datasets.spec import DatasetError

DEVKIT = "ILSVRC2012_devkit_t12/data"
SHOWN = 3  # images or classes named in an error

Reader = Callable[[AnyPath, Sequence[str]], dict[str, str]]


def find_labels_file(folder: AnyPath, root: AnyPath, images: int) -> AnyPath:
    """Returns the labels file of the ``images`` in ``folder``.

    The file is searched in ``folder``, the folder above it, ``root``, and the devkit's folder there.

    Raises:
        DatasetError: when there is none or more than one.
    """
    places = list(dict.fromkeys((folder, folder.parent, root, root / DEVKIT)))
    with refused_by_name(folder):
        found = [place / name for place in places for name in READERS if (place / name).is_file()]
    if len(found) != 1:
        raise DatasetError(_without_one(folder, images, found))
    return found[0]


def read_labels(file: AnyPath, folder: AnyPath, images: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """Returns the class of each of ``images``, names of files in ``folder``, by a labels file.

    Raises:
        DatasetError: when it does not fit the images or the classes.
    """
    labels = READERS[file.name](file, images)
    unlabelled = [name for name in images if name not in labels]
    if unlabelled:
        raise DatasetError(
            f"{file}: no label for {len(unlabelled):,} of {len(images):,} images in {folder} "
            f"({_some(unlabelled)}); remove those images, or give the labels file that belongs to them"
        )
    unknown = sorted({labels[name] for name in images} - set(classes))
    if unknown:
        raise DatasetError(
            f"{file}: classes that train/ lacks: {_some(unknown)}; its class folders must have these names, or "
            "remove the images of those classes"
        )
    return {name: labels[name] for name in images}


def _without_one(folder: AnyPath, images: int, found: list[AnyPath]) -> str:
    lie = f"{folder}: {images:,} images lie in {folder.name}/ itself, not in class folders"
    if found:
        return (
            f"{lie}, and there are {len(found)} labels files: {', '.join(map(str, found))}; keep the one that is right"
        )
    return (
        f"{lie}; sort them into {folder.name}/<class>/, or put their labels file beside them "
        f"(one of {', '.join(READERS)})"
    )


def _by_tabs(file: AnyPath, images: Sequence[str]) -> dict[str, str]:
    """Tiny ImageNet's format: an image's name, class and box a line, separated by tabs."""
    rows = (line.split("\t") for line in _lines(file))
    return {row[0]: row[1] for row in rows if len(row) > 1}


def _by_comma(file: AnyPath, images: Sequence[str]) -> dict[str, str]:
    """Kaggle's format: an image's name without ending, a comma, and class and corners of each box."""
    endings = {Path(name).stem: name for name in images}
    rows = (row for row in csv.reader(_lines(file)) if len(row) > 1 and row[1].split())
    return {endings[row[0]]: row[1].split()[0] for row in rows if row[0] in endings}


def _by_order(file: AnyPath, images: Sequence[str]) -> dict[str, str]:
    """A class a line, in the order of the images' names."""
    lines = [line.strip() for line in _lines(file) if line.strip()]
    if len(lines) != len(images):
        raise DatasetError(
            f"{file}: {len(lines):,} lines for {len(images):,} images; it labels images by their order, so it must "
            "have a line for each"
        )
    return dict(zip(sorted(images), lines, strict=True))


def _by_number(file: AnyPath, images: Sequence[str]) -> dict[str, str]:
    """The devkit's format: a class number a line, in the order of the images' names; ``meta.mat`` names the classes."""
    names = _numbered_classes(file.with_name("meta.mat"), file)
    labels = _by_order(file, images)
    unknown = sorted(set(labels.values()) - set(names))
    if unknown:
        raise DatasetError(f"{file}: numbers that meta.mat lacks: {_some(unknown)}; take both from one devkit")
    return {image: names[number] for image, number in labels.items()}


READERS: dict[str, Reader] = {
    "val_annotations.txt": _by_tabs,
    "LOC_val_solution.csv": _by_comma,
    "imagenet_2012_validation_synset_labels.txt": _by_order,
    "ILSVRC2012_validation_ground_truth.txt": _by_number,
}


def _numbered_classes(meta: AnyPath, labels: AnyPath) -> dict[str, str]:
    """Returns class names by their number in ImageNet's devkit, which is not their alphabetical position."""
    if not meta.is_file():
        raise DatasetError(f"{labels}: its numbers mean nothing without the devkit's meta.mat; put that beside it")
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise DatasetError(f"{meta}: reading it needs scipy; run: pip install scipy") from error
    try:
        synsets = loadmat(io.BytesIO(meta.read_bytes()), squeeze_me=True, struct_as_record=True)["synsets"]
        return {str(int(entry["ILSVRC2012_ID"])): str(entry["WNID"]) for entry in synsets}
    except Exception as error:  # scipy's readers raise many kinds on files that are none of theirs
        raise DatasetError(f"{meta}: can't be read as the devkit's ({error}); take it from the devkit again") from error


def _lines(file: AnyPath) -> Iterator[str]:
    with refused_by_name(file):
        return iter(file.read_text(errors="replace").splitlines())


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
