"""Findings of the score stage for each training image: stratum, difficulty, experts that are right."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from curricula.difficulty import rank
from curricula.selection import strata
from orchestrator.artifacts import scores as files
from orchestrator.artifacts.store import Store
from orchestrator.report.content.schema import Report
from orchestrator.report.files import once, read

MOST_JUDGED = 50_000  # images whose logits are looked at; of more, so many evenly over the difficulty ranks


@dataclass(frozen=True, eq=False)
class Scored:
    """The N training images of a run with a score.

    ``experts`` has the smallest first; ``images`` are positions in the data set; ``difficulty`` and ``ranks`` are of
    the recipe's own scorer, the ranks as the curriculum used them; ``severity`` is there where it is known. ``judged``
    are the images (positions in these arrays) of ``right`` (experts, judged), whether an expert is right; both are None
    where the logits can't be read.
    """

    experts: tuple[str, ...]
    images: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    difficulty: npt.NDArray[np.float64]
    ranks: npt.NDArray[np.float64]
    strata: npt.NDArray[np.int64]
    severity: npt.NDArray[np.float64] | None
    judged: npt.NDArray[np.int64] | None
    right: npt.NDArray[np.bool_] | None

    def right_by_stratum(self) -> npt.NDArray[np.float64] | None:
        """Share of each stratum's judged images that each expert is right on: (strata, experts)."""
        if self.judged is None or self.right is None:
            return None
        of = self.strata[self.judged]
        return np.stack([self.right[:, of == number].mean(axis=1) for number in range(len(self.experts))])


def scored(content: Report, store: Store) -> Scored | None:
    """Findings of the first ladder's score; None without one, before it is done, or where its files can't be read."""
    scores = {
        row["name"]: row["id"]
        for row in content["stages"]
        if row["kind"] == "score" and row["start"] is not None and row.get("ladder_seed") is None
    }
    if "score" not in scores:
        return None
    difficulty = content["recipe"]["difficulty"]
    scorer, balanced = difficulty["scorer"], difficulty["balanced"]
    key = ("scored", store.uri, scores["score"], scorer, balanced)
    return once(key, lambda: _read(store, scores["score"], list(scores.values()), scorer, balanced))


def _read(store: Store, identity: str, scores: list[str], scorer: str, balanced: bool) -> Scored | None:
    """Findings of the main score, ``identity``; logits are those of all ``scores``."""
    about = read(store, identity, files.read_about)
    columns = read(store, identity, files.read_difficulty)
    if about is None or columns is None or scorer not in columns:
        return None
    labels = columns["label"].astype(np.int64)
    ranks = rank(columns[scorer], labels if balanced else None)
    judged: npt.NDArray[np.int64] | None = np.sort(np.argsort(ranks)[:: -(-len(ranks) // MOST_JUDGED)]).astype(np.int64)
    clean = [_clean_logits(store, scores, expert) for expert in about.ladder]
    right = None
    known = [logits for logits in clean if logits is not None]
    if len(known) < len(clean):
        judged = None
    else:
        right = np.stack([np.argmax(logits[judged], axis=1) == labels[judged] for logits in known])
    severity = columns.get("severity")
    return Scored(
        experts=about.ladder, images=columns["image"].astype(np.int64), labels=labels,
        difficulty=columns[scorer].astype(np.float64), ranks=ranks, strata=strata(ranks, len(about.ladder)),
        severity=None if severity is None else severity.astype(np.float64), judged=judged, right=right,
    )  # fmt: skip


def _clean_logits(store: Store, scores: list[str], expert: str) -> npt.NDArray[np.float16] | None:
    """An expert's logits (N, classes) of the training images, by the score that holds them."""
    for identity in scores:
        about = read(store, identity, files.read_about)
        if about and expert in about.experts:
            return read(store, identity, partial(files.read_clean, expert=about.experts.index(expert)))
    return None
