"""One thread, since the number of threads changes the order of sums."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch.multiprocessing

from orchestrator.training.process import set_up_process
from tests.training.workers import WORLD_SIZES, work

set_up_process(1)


@pytest.fixture(scope="session")
def by_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of trainings by 2, 3 and 4 workers, in a folder each."""
    folder = tmp_path_factory.mktemp("workers")
    torch.multiprocessing.spawn(work, args=(str(folder),), nprocs=max(WORLD_SIZES))
    return folder
