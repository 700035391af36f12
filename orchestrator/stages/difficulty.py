"""The difficulty table of a score stage, computed by blocks of images as their logits come in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from curricula.difficulty import Evidence, available, score, spearman
from orchestrator import user_code
from orchestrator.artifacts import dataset, trained
from orchestrator.artifacts.reading import Array, FolderFiles
from orchestrator.artifacts.scores import Scores, ScoreWriter
from orchestrator.datasets import TRAIN
from orchestrator.pipeline.kinds import ScoreSpec
from orchestrator.training.data.folds import folds_of

IntArray = npt.NDArray[np.int64]


class DifficultyTable:
    """Difficulty of every training image by the logits of a ladder, which are read as they are stored.

    A registered difficulty of an image depends on that image alone, so its column is filled block by block. A
    user-defined one is computed from all images at the end; it is given memory maps.

    Args:
        spec: the score's, with a ladder.
        folders: its inputs' files by role: data, earlier scores and experts.
        writer: the logits of the score's own experts, and of the folds' networks where a user-defined difficulty needs
            those of all images.
    """

    def __init__(self, spec: ScoreSpec, folders: Mapping[str, Path], writer: ScoreWriter) -> None:
        self.spec = spec
        data = FolderFiles(folders["data"])
        self.images = np.flatnonzero(dataset.read_subset(data) == TRAIN)
        self.labels = dataset.read_labels(data)[self.images]
        self.severity = dataset.read_severity(data)
        self.fold = folds_of(len(self.images), spec.folds, spec.views_seed) if spec.folds else None
        # A learned step is that of the smallest expert; there is none where its weights were brought.
        self.learned_step = trained.read_learned_step(FolderFiles(folders[f"expert:{spec.ladder[0]}"]))
        earlier = Scores.among(folders)
        own = dict(zip(spec.experts, writer.clean, strict=True))
        self.logits = [own[expert] if expert in own else earlier.clean(expert) for expert in spec.ladder]
        self.fold_logits = writer.folds
        self.scores: dict[str, npt.NDArray[np.float64]] = {}
        self.right = np.zeros(len(spec.ladder), np.int64)

    def add(self, images: IntArray, fold_logits: Array | None) -> None:
        """Compute the registered difficulties of some training images, whose logits the writer has.

        Args:
            images: their numbers among the training images, (B,).
            fold_logits: (B, folds, classes), where there are folds.
        """
        logits = [of_expert[images] for of_expert in self.logits]
        evidence = self._evidence(images, logits, None if fold_logits is None else fold_logits.swapaxes(0, 1))
        for name in available(evidence):
            self.scores.setdefault(name, np.empty(len(self.images)))[images] = score(name, evidence)
        self.right += [np.count_nonzero(of_expert.argmax(axis=1) == evidence.labels) for of_expert in logits]

    def finish(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Returns the columns of the table, and the stage's results from it.

        The results are the names of the difficulties, each expert's share of training images that it is right on, and
        rank correlations with the severity where that is known.
        """
        if self.spec.code:
            evidence = self._evidence(np.arange(len(self.images)), self.logits, self.fold_logits)
            self.scores |= {name: score(user_code.load(name), evidence) for name in self.spec.code}
        columns: dict[str, Array] = {"image": self.images, "label": self.labels}
        if self.fold is not None:
            columns["fold"] = self.fold
        columns |= self.scores
        results: dict[str, Any] = {"difficulties": sorted(self.scores)}
        if self.severity is not None:
            severity = self.severity[self.images].astype(np.float64)
            columns["severity"] = severity
            results["severity_correlation"] = {name: spearman(its, severity) for name, its in self.scores.items()}
        shares = (self.right / len(self.images)).tolist()
        results["experts_right"] = dict(zip(self.spec.ladder, shares, strict=True))
        return columns, results

    def _evidence(self, images: IntArray, logits: list[Array], fold_logits: Array | None) -> Evidence:
        def of_these(values: Array | None) -> Array | None:
            return None if values is None else values[images]

        return Evidence(
            labels=self.labels[images], logits=logits, fold_logits=fold_logits, fold=of_these(self.fold),
            learned_step=of_these(self.learned_step), image=self.images[images],
        )  # fmt: skip
