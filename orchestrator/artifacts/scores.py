"""The files of a score stage's artifact: logits of experts, and the difficulty of every training image.

``score.json`` has ``experts``, smallest first, the ``ladder`` whose difficulties these are, and the number of
``views``. Of expert number e, ``clean-<e>.npy`` is float32 (N, classes), without augmentation, and ``views-<e>.npy``
is fp16 (views, N, classes), where guidance is cached. With a ladder, ``difficulty.parquet`` has a row for each
training image: its index, label, fold, every difficulty, and its severity where it is known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.artifacts.reading import Array, Files, FolderFiles
from orchestrator.storage.full_disk import reserve

VERSION = 4  # part of the stage's identity: raise it when the same spec comes to make other files
ABOUT, DIFFICULTY = "score.json", "difficulty.parquet"
FOLDS = "folds.npy"  # only while the artifact is made


@dataclass(frozen=True)
class ScoreAbout:
    """The content of ``score.json``: experts and ladder, each smallest first, and the number of stored views."""

    experts: tuple[str, ...]
    ladder: tuple[str, ...]
    views: int


class ScoreWriter:
    """Memory-mapped arrays in the artifact's folder, to be filled in any order of images.

    ``clean`` and ``views`` have an array for each expert; ``folds`` is (folds, N, classes) or None, on disk since it
    takes some 15 GB at ImageNet's size.
    """

    def __init__(self, folder: Path, about: ScoreAbout, images: int, classes: int, folds: int = 0) -> None:
        self.folder, self.about = folder, about
        numbers = range(len(about.experts))
        self.clean = [_new_array(folder / clean_file(e), np.float32, (images, classes)) for e in numbers]
        self.views = [
            _new_array(folder / views_file(e), np.float16, (about.views, images, classes))
            for e in numbers
            if about.views
        ]
        self.folds = _new_array(folder / FOLDS, np.float32, (folds, images, classes)) if folds else None

    def put(self, images: npt.NDArray[np.int64], clean: Array, views: Array | None, folds: Array | None) -> None:
        """Store logits of some images: ``clean`` (B, E, classes), ``views`` and ``folds`` (B, ..., count, classes)."""
        for expert, array in enumerate(self.clean):
            array[images] = clean[:, expert]
        if views is not None:
            for expert, array in enumerate(self.views):
                array[:, images] = views[:, expert].transpose(1, 0, 2)
        if self.folds is not None and folds is not None:
            self.folds[:, images] = folds.transpose(1, 0, 2)

    def finish(self, difficulty: Mapping[str, Array] | None) -> None:
        """Write the remaining files; ``difficulty`` are the columns of its table, None without a ladder."""
        if difficulty is not None:
            _write_columns(self.folder / DIFFICULTY, difficulty)
        for array in (*self.clean, *self.views):
            array.flush()
        (self.folder / FOLDS).unlink(missing_ok=True)  # contained in the difficulties, and not read again
        content = {"experts": self.about.experts, "ladder": self.about.ladder, "views": self.about.views}
        (self.folder / ABOUT).write_text(json.dumps(content))


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

    def clean(self, expert: str) -> npt.NDArray[np.float32]:
        """Returns logits (N, classes) of the training images without augmentation."""
        files, number = self.places[expert]
        return read_clean(files, number)

    def views(self, expert: str) -> npt.NDArray[np.float16]:
        """Returns logits (views, N, classes), mapped: all processes of a node share the pages."""
        files, number = self.places[expert]
        return files.array(views_file(number), "r")

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
        return ScoreAbout(experts, tuple(content.get("ladder", experts)), content["views"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{ABOUT} does not describe scores: {error!r}") from error


def read_clean(files: Files, expert: int) -> npt.NDArray[np.float32]:
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

    parquet.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), path)
