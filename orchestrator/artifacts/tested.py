"""The files that tell test images apart: their strata, and which of them a network is right on.

A strata stage's artifact has ``difficulty.npy``, float64 (N,), and ``strata.npy``, uint8 (N,), 0 the easiest. An
evaluate stage's has ``right.npy``, bool (N,). All are in the order of the test images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from orchestrator.artifacts.reading import Files

STRATA_VERSION = 1  # part of the stage's identity: raise it when the same spec comes to make other files
DIFFICULTY, STRATA, RIGHT = "difficulty.npy", "strata.npy", "right.npy"


def write_strata(folder: Path, difficulty: npt.NDArray[np.float64], strata: npt.NDArray[np.int64]) -> None:
    """Write the files of a strata stage."""
    np.save(folder / DIFFICULTY, difficulty)
    np.save(folder / STRATA, strata.astype(np.uint8))


def read_strata(files: Files) -> npt.NDArray[np.uint8]:
    """Returns the stratum of each test image, (N,)."""
    return files.array(STRATA)


class RightWriter:
    """Collects on which test images a network is right, from its logits, batch after batch.

    Args:
        folder: the artifact's.
        labels: of the test images, (N,).
    """

    def __init__(self, folder: Path, labels: npt.NDArray[np.int64]) -> None:
        self.folder, self.labels, self.filled = folder, labels, 0
        self.right = np.zeros(len(labels), np.bool_)

    def put(self, logits: npt.NDArray[np.float32]) -> None:
        """Add the logits (B, classes) of the next images."""
        place = slice(self.filled, self.filled + len(logits))
        self.right[place] = logits.argmax(axis=1) == self.labels[place]
        self.filled = place.stop

    def finish(self) -> None:
        """Write the file."""
        np.save(self.folder / RIGHT, self.right)


def read_right(files: Files) -> npt.NDArray[np.bool_]:
    """Returns on which test images a network is right, (N,)."""
    return files.array(RIGHT)
