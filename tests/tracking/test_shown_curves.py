"""The folders of curves that belong to a run."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.dashboard import HOST, curves, link, main
from orchestrator.report.content.schema import Report


def report(*trials: dict[str, Any]) -> Report:
    content: Any = {
        "stages": [
            {"kind": "ingest", "name": "ingest", "id": "ingest-00000000000000000000"},
            {"kind": "train", "name": "student/kd/seed-0", "id": "train-11111111aaaaaaaaaaaa"},
            {"kind": "search", "name": "search/kd", "id": "search-22222222aaaaaaaaaaaa"},
        ],
        "searches": {"kd": {"trials": list(trials), "best": None}},
    }
    return cast(Report, content)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for folder in (
        "student/kd/seed-0/11111111",
        "student/kd/seed-0/99999999",  # of another recipe
        "search-kd-22222222/trial-000-50-33333333",
        "search-kd-88888888/trial-001-50-44444444",  # of an earlier search
        "search-kd-88888888/trial-002-50-55555555",
    ):
        (tmp_path / "logs" / folder).mkdir(parents=True)
    return tmp_path / "logs"


def test_the_curves_of_a_run_are_those_of_its_stages_and_of_its_search_so_far(logs: Path) -> None:
    assert curves(report(), logs) == {
        "student/kd/seed-0": logs / "student/kd/seed-0/11111111",
        "search/kd/trial-000-50-33333333": logs / "search-kd-22222222/trial-000-50-33333333",
    }


def test_a_trial_that_was_taken_over_has_the_curves_of_the_search_that_made_it(logs: Path) -> None:
    taken = {"id": 1, "identity": "trial-44444444aaaaaaaaaaaa"}
    failed = {"id": 2, "error": "it diverged"}
    found = curves(report(taken, failed), logs)
    assert found["search/kd/trial-001-50-44444444"] == logs / "search-kd-88888888/trial-001-50-44444444"
    assert len(found) == 3


def test_a_training_that_has_not_begun_has_none(logs: Path) -> None:
    (logs / "student/kd/seed-0/11111111").rmdir()
    assert "student/kd/seed-0" not in curves(report(), logs)


def test_links_are_added_while_a_run_goes_on(logs: Path, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    link({"a/b": logs / "student"}, tmp_path / "shown")
    link({"a/b": logs / "student", "c": logs}, tmp_path / "shown")
    assert (tmp_path / "shown/a/b/kd").is_dir() and (tmp_path / "shown/c/student").is_dir()


def test_a_taken_port_is_refused_with_what_tensorboard_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").mkdir()
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--all", "--storage", str(tmp_path), "--port", str(port)]) == 2
    assert f"error: TensorBoard can't be started: TensorBoard could not bind to port {port}" in capsys.readouterr().err
