"""The files of an evaluate stage's artifact, in the order of the test images.

``right.npy`` is bool (N,): which images the network is right on.

``test-logits.npy`` is fp16 (N, classes): an expert's logits, which students are compared with. From each image's logits
the largest is subtracted, which changes neither their softmax nor which one is the largest: so none is too large for
fp16, and the logits that matter are stored most exactly. Those that are too far below the largest for fp16 are stored
as its lowest number, whose probability is 0. The file is written and read in parts: no process has all logits of a
large test set in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.artifacts.reading import Files
from orchestrator.storage.full_disk import reserve

VERSION = 3  # part of the stage's identity: raise it when the same spec comes to make other files or results
TEST_LOGITS, RIGHT = "test-logits.npy", "right.npy"
LOWEST = float(np.finfo(np.float16).min)


class LogitsWriter:
    """A memory-mapped array in the artifact's folder, filled from the first test image on.

    Args:
        folder: the artifact's, still without the file.
        images: number of test images.
        classes: number of logits of each.
    """

    def __init__(self, folder: Path, images: int, classes: int) -> None:
        path = folder / TEST_LOGITS
        self.array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(images, classes))
        reserve(path)
        self.filled = 0

    def put(self, logits: npt.NDArray[Any]) -> None:
        """Store the logits (B, classes) of the next images."""
        with np.errstate(invalid="ignore"):  # the evaluation fails of itself where they are not finite
            shifted = logits - logits.max(axis=1, keepdims=True)
        self.array[self.filled : self.filled + len(logits)] = np.maximum(shifted, LOWEST)
        self.filled += len(logits)

    def finish(self) -> None:
        """Write what is not on the disk yet."""
        self.array.flush()


def read_test_logits(files: Files) -> npt.NDArray[np.float16]:
    """Returns an expert's logits of the test images less the largest of each image, (N, classes), mapped."""
    return files.array(TEST_LOGITS, "r")


def write_right(folder: Path, right: npt.NDArray[np.bool_]) -> None:
    """Write which test images the network is right on, (N,)."""
    np.save(folder / RIGHT, right)


def read_right(files: Files) -> npt.NDArray[np.bool_]:
    """Returns which test images the network is right on, (N,)."""
    return files.array(RIGHT)
