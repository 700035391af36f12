"""The files of a train stage's artifact; of a pretrained stage's, which has the weights alone; and of a snapshot's.

``weights.safetensors`` holds the network, with the names of the classes (``training/weights/files.py``, since it takes
torch). A final student's artifact has in ``other.safetensors`` the weights that were not kept as well: the last where
the best on validation are kept, or the reverse; it has none where both are of one step. ``history.json`` has a row for
each validation, ``taught.npy`` is int64 (strata, experts) and counts the images of each stratum that each expert
taught, and ``learned_step.npy`` is int64 (N,), where the learned step was recorded. ``snapshot-<step>.safetensors`` has
the weights after a step at which the training was to keep them.

A snapshot stage's artifact has such weights as its ``weights.safetensors``, and the training's learned step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt
from typing_extensions import NotRequired

from orchestrator.artifacts.reading import Files

# Part of the stages' identities: raise one when the same spec comes to make other files.
VERSION = 4
PRETRAINED_VERSION = 2
SNAPSHOT_VERSION = 1
WEIGHTS, OTHER_WEIGHTS = "weights.safetensors", "other.safetensors"
HISTORY, ASSIGNMENTS, LEARNED_STEP = "history.json", "taught.npy", "learned_step.npy"


class HistoryRow(TypedDict):
    """One validation of a training; the last two fields are of a curriculum."""

    step: int
    training_loss: float
    training_accuracy: float
    validation_accuracy: float
    validation_loss: float
    learning_rate: float
    seconds: float
    active_fraction: NotRequired[float]
    expert_limit: NotRequired[int]


def write(
    folder: Path, history: Sequence[Mapping[str, object]], assignments: npt.NDArray[np.int64],
    learned_step: npt.NDArray[np.int64] | None,
) -> None:  # fmt: skip
    """Write all files but the weights."""
    (folder / HISTORY).write_text(json.dumps(history))
    np.save(folder / ASSIGNMENTS, assignments)
    write_learned_step(folder, learned_step)


def write_learned_step(folder: Path, learned_step: npt.NDArray[np.int64] | None) -> None:
    """Write the learned step of each training image, (N,), where it was recorded."""
    if learned_step is not None:
        np.save(folder / LEARNED_STEP, learned_step)


def snapshot_file(step: int) -> str:
    """Returns the name of the file of the weights after a step."""
    return f"snapshot-{step}.safetensors"


def read_history(files: Files) -> list[HistoryRow]:
    """Returns a row for each validation, in the order of steps."""
    history: list[HistoryRow] = files.json(HISTORY)
    return history


def read_assignments(files: Files) -> npt.NDArray[np.int64]:
    """Returns how many images of each stratum each expert taught, (strata, experts)."""
    return files.array(ASSIGNMENTS)


def read_learned_step(files: Files) -> npt.NDArray[np.int64] | None:
    """Returns the learned step of each training image, (N,); None where it was not recorded."""
    return files.array(LEARNED_STEP) if files.has(LEARNED_STEP) else None
