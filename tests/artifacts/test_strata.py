"""The strata of the test images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orchestrator.artifacts import strata
from orchestrator.artifacts.reading import FolderFiles


def test_written_strata_are_read_back_in_a_byte_an_image(tmp_path: Path) -> None:
    strata.write(tmp_path, np.array([0.5, 0.1, 2.0]), np.array([1, 0, 2]))
    found = strata.read_strata(FolderFiles(tmp_path))
    np.testing.assert_array_equal(found, [1, 0, 2])
    assert found.dtype == np.uint8
