"""Telemetry reported with each validation; never part of a result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from orchestrator.artifacts.trained import HistoryRow

EXPERT = "experts/"  # before an expert's name


def telemetry(
    kept: HistoryRow, experts: Sequence[str], counts: npt.NDArray[np.int64], images: float, seconds: float,
    waiting: float,
) -> dict[str, float]:  # fmt: skip
    """Returns the measurements of the steps since the last validation.

    Args:
        kept: the history's row whose weights would be kept if the training ended here.
        experts: their names, smallest first.
        counts: images by (stratum, expert), counted where each image has one expert; else all 0.
        images: images that all workers were shown.
        seconds: their time, without validation.
        waiting: share of the seconds that this worker waited for images, in [0, 1].
    """
    shares = counts.sum(axis=0) / counts.sum() if counts.any() else ()
    return {
        "kept_validation_accuracy": kept["validation_accuracy"],
        "kept_validation_loss": kept["validation_loss"],
        "images_per_second": images / seconds,
        "waiting_for_data": waiting,
        **{f"{EXPERT}{name}": float(share) for name, share in zip(experts, shares, strict=False)},
    }
