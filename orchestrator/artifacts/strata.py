"""The files of a strata stage's artifact: the difficulty of the test images, and the strata that it cuts them into.

``difficulty.npy`` is float64 (N,), and ``strata.npy`` uint8 (N,), 0 the easiest: both in the order of the test images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from orchestrator.artifacts.reading import Files

VERSION = 1  # part of the stage's identity: raise it when the same spec comes to make other files
DIFFICULTY, STRATA = "difficulty.npy", "strata.npy"


def write(folder: Path, difficulty: npt.NDArray[np.float64], strata: npt.NDArray[np.int64]) -> None:
    """Write the files of a strata stage."""
    np.save(folder / DIFFICULTY, difficulty)
    np.save(folder / STRATA, strata.astype(np.uint8))


def read_strata(files: Files) -> npt.NDArray[np.uint8]:
    """Returns the stratum of each test image, (N,)."""
    return files.array(STRATA)
