"""The files of a trained network, but for its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.artifacts import trained
from orchestrator.artifacts.reading import FolderFiles

HISTORY = [{"step": 10, "validation_accuracy": 0.5}, {"step": 20, "validation_accuracy": 0.75}]


@pytest.mark.parametrize("learned_step", [None, np.array([3, 1, 2])])
def test_what_was_written_is_read(tmp_path: Path, learned_step: np.ndarray | None) -> None:
    trained.write(tmp_path, HISTORY, np.eye(2, dtype=np.int64), learned_step)
    files = FolderFiles(tmp_path)
    assert trained.read_history(files) == HISTORY
    np.testing.assert_array_equal(trained.read_assignments(files), np.eye(2))
    found = trained.read_learned_step(files)
    assert (found is None) == (learned_step is None)
    if found is not None:
        np.testing.assert_array_equal(found, [3, 1, 2])
