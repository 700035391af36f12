"""Readiness: the expert of each image, chosen during training by what the student last predicted for the image.

It is the rule of the selector ``ready``: the smallest expert that is right and surer of the label than the student is
now, else the largest. A mentor that does no better than the student on an image has nothing to teach about it: the
filter of ClassroomKD (Sarode et al., "Classroom-inspired multi-mentor distillation with adaptive learning strategies",
2024, arXiv 2409.20237), of whose mentors only the smallest is taken here, so that each image has one. An image that
the student hasn't seen yet has the smallest expert.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curricula.checks import Array, FloatArray, IntArray
from curricula.difficulty import Evidence, by_rows, log_softmax

Confidences = npt.NDArray[np.float32]  # probabilities of the label, or one of the two below
WRONG, UNSEEN = -1.0, -2.0


@dataclass(frozen=True, eq=False)
class Readiness:
    """Confidences of E experts on N images, (E, N), as ``confidence_if_right``."""

    confidence: Confidences

    @classmethod
    def of(cls, evidence: Evidence) -> Readiness:
        """Returns the confidences of networks whose logits are known, the smallest expert first."""
        return cls(np.stack([confidence_if_right(its, evidence.labels) for its in evidence.logits]).astype(np.float32))

    def experts(self, images: IntArray, student: Confidences) -> IntArray:
        """Returns the expert of each image, int64 (B,).

        Args:
            images: their numbers, (B,).
            student: probability of the label by the student's last prediction of each, ``UNSEEN`` without one, (B,).
        """
        surer = self.confidence[:, images] > student
        surer[-1] = True  # the largest, where there is no other
        surer[0] |= student == UNSEEN
        return surer.argmax(axis=0).astype(np.int64)


def confidence_if_right(logits: Array, labels: IntArray) -> FloatArray:
    """Returns the probability of the label where an expert is right, else ``WRONG``: (N, C), (N,) -> float64 (N,).

    Right means that no class has a larger probability than the label. Errors as in ``by_rows``.
    """

    def rows(logits: Array, labels: IntArray) -> Array:
        log_probability = log_softmax(logits)
        of_label = log_probability[np.arange(len(labels)), labels]
        return np.where(of_label == log_probability.max(axis=1), np.exp(of_label), WRONG)

    return by_rows(rows, logits, labels)
