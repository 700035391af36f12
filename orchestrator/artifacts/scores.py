"""The files of a score stage's artifact: logits of experts, and the difficulty of every training image.

``score.json`` has ``experts``, smallest first, the ``ladder`` whose difficulties these are, and the numbers of
``views`` and ``classes``. Of expert number e, ``clean-<e>.npy`` is fp16 (N, classes), without augmentation, and
``views-<e>.npy``, where guidance is cached, fp16 (views, N, classes), or records of the largest logits (views, N): see
``top_k``. With a ladder, ``difficulty.parquet`` has a row for each training image: its index, label, fold, every
difficulty, and its severity where it is known.

Difficulties are computed from the fp16 logits. Of trained networks on 100 classes that changed the stratum of at most
one image in 1,000, of three strata, against fp32; the rank correlation of the two was 0.999999.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from orchestrator.artifacts.reading import Array, Files, FolderFiles
from orchestrator.artifacts.top_k import Records, expand, record_type
from orchestrator.storage.full_disk import reserve

VERSION = 5  # part of the stage's identity: raise it when the same spec comes to make other files
ABOUT, DIFFICULTY = "score.json", "difficulty.parquet"
FOLDS = "folds.npy"  # only while the artifact is made
ROWS = 1 << 14  # of the table that are encoded at once; all of a large set take up to 100 MiB


@dataclass(frozen=True)
class ScoreAbout:
    """The content of ``score.json``: experts and ladder, each smallest first, stored views, and classes of the data."""

    experts: tuple[str, ...]
    ladder: tuple[str, ...]
    views: int
    classes: int


class ScoreWriter:
    """Memory-mapped arrays in the artifact's folder, to be filled in any order of images.

    ``clean`` and ``views`` have an array for each expert; ``folds`` is fp16 (folds, N, classes) or None.

    Args:
        folder: the artifact's, still empty.
        about: content of its description.
        images: training images, N.
        folds: networks of the held-out loss whose logits are kept until ``finish``.
        top_k: number of logits that are stored of a view; None: all.
    """

    def __init__(
        self, folder: Path, about: ScoreAbout, images: int, folds: int = 0, top_k: int | None = None
    ) -> None:  # fmt: skip
        self.folder, self.about = folder, about
        whole, experts = (images, about.classes), range(len(about.experts))
        self.clean = [_new_array(folder / clean_file(e), np.float16, whole) for e in experts]
        kind, shape = (np.float16, whole) if top_k is None else (record_type(about.classes, top_k), (images,))
        self.views = [_new_array(folder / views_file(e), kind, (about.views, *shape)) for e in experts if about.views]
        self.folds = _new_array(folder / FOLDS, np.float16, (folds, *whole)) if folds else None

    def put(self, images: npt.NDArray[np.int64], clean: Array, views: Array | None, folds: Array | None) -> None:
        """Store logits of some images.

        Args:
            images: their numbers among the training images, (B,).
            clean: (B, experts, classes).
            views: (B, experts, views, classes), or records (B, experts, views).
            folds: (B, folds, classes).
        """
        for expert, array in enumerate(self.clean):
            array[images] = clean[:, expert]
        if views is not None:
            for expert, array in enumerate(self.views):
                array[:, images] = views[:, expert].swapaxes(0, 1)
        if self.folds is not None and folds is not None:
            self.folds[:, images] = folds.swapaxes(0, 1)

    def finish(self, difficulty: Mapping[str, Array] | None) -> None:
        """Write the remaining files; ``difficulty`` are the columns of its table, None without a ladder."""
        if difficulty is not None:
            _write_columns(self.folder / DIFFICULTY, difficulty)
        for array in (*self.clean, *self.views):
            array.flush()
        (self.folder / FOLDS).unlink(missing_ok=True)  # contained in the difficulties, and not read again
        (self.folder / ABOUT).write_text(json.dumps(asdict(self.about)))


class StoredViews(Protocol):
    """Logits of an expert for the views of every training image."""

    def logits(self, view: int, images: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
        """Returns logits (B, classes) of one view of some images, given by their numbers (B,)."""
        ...


@dataclass(frozen=True, eq=False)
class WholeViews:
    """All logits, in an array (views, N, classes)."""

    array: npt.NDArray[np.float16]

    def logits(self, view: int, images: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
        return self.array[view, images]


@dataclass(frozen=True, eq=False)
class ShortenedViews:
    """The largest logits, in an array of records (views, N)."""

    array: Records
    classes: int

    def logits(self, view: int, images: npt.NDArray[np.int64]) -> npt.NDArray[np.float16]:
        return expand(self.array[view, images], self.classes)


class Scores:
    """Logits and difficulties of a run's score stages, by the names of the experts.

    Args:
        artifacts: files by role; ``score`` is that of the recipe's own ladder, which has the difficulties.
    """

    def __init__(self, artifacts: Mapping[str, Files]) -> None:
        self.main = artifacts.get("score")
        self.places = {
            expert: (files, number)
            for files in artifacts.values()
            for number, expert in enumerate(read_about(files).experts)
        }

    @classmethod
    def among(cls, folders: Mapping[str, Path]) -> Scores:
        """Returns the scores among a stage's inputs, given their folders by role."""
        inputs = {role: FolderFiles(folder) for role, folder in folders.items()}
        return cls({role: files for role, files in inputs.items() if files.has(ABOUT)})

    def clean(self, expert: str) -> npt.NDArray[np.float16]:
        """Returns logits (N, classes) of the training images without augmentation, mapped."""
        files, number = self.places[expert]
        return read_clean(files, number)

    def views(self, expert: str) -> StoredViews:
        """Returns logits of the views, mapped: all processes of a node share the pages."""
        files, number = self.places[expert]
        array = files.array(views_file(number), "r")
        return ShortenedViews(array, read_about(files).classes) if array.dtype.names else WholeViews(array)

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """Returns a column of the difficulty table, (N,).

        Raises:
            ValueError: when that difficulty was not computed.
        """
        assert self.main is not None, "a curriculum needs the main ladder's score"
        columns = read_difficulty(self.main)
        if name not in columns:
            raise ValueError(f"difficulty.scorer: {name} was not computed; there are {', '.join(columns)}")
        return columns[name]


def clean_file(expert: int) -> str:
    """Returns the name of the file with an expert's logits without augmentation."""
    return f"clean-{expert}.npy"


def views_file(expert: int) -> str:
    """Returns the name of the file with an expert's logits of the views."""
    return f"views-{expert}.npy"


def read_about(files: Files) -> ScoreAbout:
    """Returns the content of ``score.json``.

    Raises:
        ValueError: when a field is missing.
    """
    content = files.json(ABOUT)
    try:
        experts = tuple(content["experts"])  # which were the ladder, in version 2 of the format
        classes = content.get("classes", 0)  # unknown before version 5
        return ScoreAbout(experts, tuple(content.get("ladder", experts)), content["views"], classes)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{ABOUT} does not describe scores: {error!r}") from error


def read_clean(files: Files, expert: int) -> npt.NDArray[np.float16]:
    """Returns an expert's logits (N, classes) without augmentation, mapped where the files are local."""
    return files.array(clean_file(expert), "r")


def read_difficulty(files: Files) -> dict[str, Array]:
    """Returns the columns of the difficulty table, each (N,)."""
    return files.columns(DIFFICULTY)


def _new_array(path: Path, kind: Any, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    array = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)
    reserve(path)
    return array


def _write_columns(path: Path, columns: Mapping[str, Array]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet  # a run with nothing left to do writes none

    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    parquet.write_table(table, path, row_group_size=ROWS)
