"""Export of a real run's student."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.export.__main__ import main
from tests.run.conftest import Finished, Place

pytestmark = pytest.mark.long


def test_a_student_of_a_curriculum_is_exported_with_its_settings_in_the_card(
    undisturbed: tuple[Place, Finished], tmp_path: Path
) -> None:
    place, _ = undisturbed
    command = [
        "--storage",
        str(place.storage),
        "--method",
        "ces_kd",
        "--format",
        "torch-export",
        "--out",
        str(tmp_path),
    ]
    assert main(command) == 0
    card = (tmp_path / "README.md").read_text()
    row = next(row for row in place.report()["methods"] if row["method"] == "ces_kd")
    assert f"mode {row['taught_with']['curriculum']['mode']}" in card
    assert "come from a search, by validation accuracy" in card
