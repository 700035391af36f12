"""User-defined pacing families and difficulties for tests."""

from __future__ import annotations

import numpy as np

from curricula.difficulty import Evidence


def cosine(progress: np.ndarray, a: float, b: float) -> np.ndarray:
    return b + (1 - b) * (1 - np.cos(np.pi * progress / a)) / 2


def falling(progress: np.ndarray, a: float, b: float) -> np.ndarray:
    return 1 - progress


def without_b(progress: np.ndarray, a: float) -> np.ndarray:
    return progress / a


def spread(evidence: Evidence) -> np.ndarray:
    """Standard deviation of the label's logit over the experts."""
    return np.std(
        [of_expert[np.arange(len(evidence.labels)), evidence.labels] for of_expert in evidence.logits], axis=0
    )


def by_number(evidence: Evidence) -> np.ndarray:
    """Entries of a table that has one for each image of the data set."""
    assert evidence.image is not None
    return np.arange(448)[evidence.image]


def of_folds(evidence: Evidence) -> np.ndarray:
    assert evidence.fold_logits is not None, "needs folds; set difficulty.held_out_folds"
    return evidence.fold_logits[0][:, 0]


def constant(evidence: Evidence) -> np.ndarray:
    return np.zeros(len(evidence.labels))


def too_few(evidence: Evidence) -> np.ndarray:
    return np.arange(3)
