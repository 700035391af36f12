"""Artifacts of data sets and scores, constructed for tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.artifacts.dataset import Counts, DatasetAbout
from orchestrator.artifacts.reading import Array, FolderFiles
from orchestrator.artifacts.scores import ScoreAbout, Scores, ScoreWriter


def about_data(**changes: Any) -> DatasetAbout:
    """The description of a data set of three classes."""
    about = DatasetAbout(
        classes=3, class_names=("cat", "dog", "frog"), image_shape=(3, 8, 8), image_size=8,
        counts=Counts(train=4, validation=1, test=1, skipped=0), broken=(), layout="arrays",
        mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25),
    )  # fmt: skip
    return dataclasses.replace(about, **changes)


def write_scores(
    folder: Path,
    experts: Sequence[str],
    clean: Sequence[Array],
    views: Sequence[Array],
    difficulty: Mapping[str, Array],
) -> Path:
    """A score's folder from each expert's logits (N, classes), and of each view (views, N, classes)."""
    folder.mkdir()
    images, classes = clean[0].shape
    about = ScoreAbout(tuple(experts), tuple(experts), len(views[0]), classes)
    writer = ScoreWriter(folder, about, images)
    writer.put(np.arange(images), np.stack(clean, axis=1), np.stack(views).transpose(2, 0, 1, 3), None)
    writer.finish(difficulty)
    return folder


def scores_of(main: Path, **others: Path) -> Scores:
    """The scores in a folder, and in those of other topologies."""
    folders = {"score": main} | {f"score:{topology}": folder for topology, folder in others.items()}
    return Scores({role: FolderFiles(folder) for role, folder in folders.items()})
