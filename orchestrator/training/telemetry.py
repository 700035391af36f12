"""Telemetry reported with each validation; never part of a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

EXPERT = "experts/"  # before an expert's name


def measured(
    kept: dict[str, Any], experts: Sequence[str], taught: npt.NDArray[np.int64], images: float, seconds: float,
    waiting: float,
) -> dict[str, float]:  # fmt: skip
    """The measured values of the steps since the last validation.

    Args:
        kept: the history's row whose weights would be kept if the training ended here.
        experts: their names, smallest first.
        taught: images by (stratum, expert), counted where each image has one expert; else all 0.
        images: images that all workers were shown.
        seconds: what that took, without validation.
        waiting: share of the seconds that this worker waited for images, in [0, 1].
    """
    shares = taught.sum(axis=0) / taught.sum() if taught.any() else ()
    return {
        "kept_validation_accuracy": kept["validation_accuracy"],
        "kept_validation_loss": kept["validation_loss"],
        "images_per_second": images / seconds,
        "waiting_for_data": waiting,
        **{f"{EXPERT}{name}": float(share) for name, share in zip(experts, shares, strict=False)},
    }
