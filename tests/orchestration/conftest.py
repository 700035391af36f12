from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.artifacts import Store
from tests.orchestration.examples import make_artifacts, planned
from tests.orchestration.reports import Made
from tests.orchestration.stores import store

__all__ = ["store"]


@pytest.fixture
def whole(tmp_path: Path) -> Made:
    """The small recipe's plan with every artifact of it."""
    chosen, store = planned(), Store(str(tmp_path))
    return chosen, store, make_artifacts(chosen, store)
