"""Examples of images: some of each stratum, from its easiest to its hardest, as small PNG files in the page."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from orchestrator.artifacts import dataset
from orchestrator.artifacts.dataset import DatasetAbout
from orchestrator.artifacts.photos import PackedPhotos
from orchestrator.artifacts.reading import StoredFiles
from orchestrator.artifacts.store import Store
from orchestrator.report.content.schema import Report
from orchestrator.report.files import once, read
from orchestrator.report.page.scored import Scored

OF_STRATUM = 10
LARGEST = 96  # pixels of an example's longer side


@dataclass(frozen=True)
class Example:
    """One training image: its place in the order of difficulty, and the experts that are right on it."""

    source: str  # data URI of a PNG
    label: str
    stratum: int
    rank: float
    difficulty: float
    severity: float | None
    right: tuple[tuple[str, bool], ...] | None  # of each expert, smallest first

    def __str__(self) -> str:
        known = f", severity {self.severity:.2f}" if self.severity is not None else ""
        said = f"label {self.label}, difficulty {self.difficulty:.3g}{known}"
        if self.right is None:
            return said
        return f"{said}; right: {', '.join(name for name, is_right in self.right if is_right) or 'no expert'}"


def examples(content: Report, store: Store, found: Scored) -> list[Example] | str:
    """Examples, easiest first; or in words the reason why there are none."""
    stage = next(row for row in content["stages"] if row["kind"] == "ingest")
    about = read(store, stage["id"], dataset.read_about)
    if about is None:
        return "The data set's description can't be read, so no images are shown."
    shown: list[Example] = []
    root = content["recipe"]["dataset"]["root"]
    order = np.argsort(found.ranks, kind="stable")
    for stratum in range(len(found.experts)):
        members = order[found.strata[order] == stratum]
        count = min(OF_STRATUM, len(members))
        for number in members[((np.arange(count) + 0.5) * len(members) / max(count, 1)).astype(int)]:
            position = int(found.images[number])
            key = ("example", store.uri, stage["id"], position)
            try:
                source = once(key, partial(_source, store, stage["id"], about, root, position))
            except (OSError, ValueError) as error:
                return f"No images are shown, since they can't be read from here: {error}"
            shown.append(_example(found, int(number), source, about.class_names))
    return shown


def _example(found: Scored, number: int, source: str, class_names: Sequence[str]) -> Example:
    label = int(found.labels[number])
    right = None
    if found.judged is not None and found.right is not None:
        at = int(np.searchsorted(found.judged, number))
        if at < len(found.judged) and found.judged[at] == number:
            right = tuple(zip(found.experts, map(bool, found.right[:, at]), strict=True))
    return Example(
        source=source, label=class_names[label] if label < len(class_names) else str(label),
        stratum=int(found.strata[number]), rank=float(found.ranks[number]), difficulty=float(found.difficulty[number]),
        severity=None if found.severity is None else float(found.severity[number]), right=right,
    )  # fmt: skip


def _source(store: Store, identity: str, about: DatasetAbout, root: str, position: int) -> str:
    """A data URI of an image.

    Raises:
        OSError, ValueError: when it can't be read; ``DatasetError``, for a photo, is a ValueError.
    """
    from PIL import Image  # only where a page is made

    files = StoredFiles(store, identity)
    if about.layout == "arrays":
        pixels = np.asarray(dataset.read_images(files)[position])
    else:
        from orchestrator.datasets.decoding import decode_content
        from orchestrator.datasets.photos import FolderPhotos, Photos

        packed, folder = about.layout == "packed", os.path.expanduser(root)
        photos: Photos = PackedPhotos(files) if packed else FolderPhotos(folder, dataset.read_paths(files))
        pixels = decode_content(photos.read(position), photos.name(position), about.white_level)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((LARGEST, LARGEST))
    stream = io.BytesIO()
    image.save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
