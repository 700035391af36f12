"""The command ``python -m orchestrator.run`` where every stage is cached, on artifacts made by hand."""

from __future__ import annotations

import tempfile
from pathlib import Path

import jinja2
import pytest

from orchestrator.artifacts.store import StorageError, Store
from orchestrator.last_resort import FAILED
from orchestrator.report import storage as reports
from orchestrator.run import main
from tests.examples import TINY, make_artifacts, planned


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of a run with nothing left to do."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    make_artifacts(planned(), Store(str(tmp_path / "runs")))
    return [TINY, "--storage", str(tmp_path / "runs")]


def test_a_finished_run_prints_its_results_and_the_address_of_its_report(
    finished: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(finished) == 0
    said = capsys.readouterr().out
    assert "ces_kd" in said and said.splitlines()[-1].startswith("report: ")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (jinja2.UndefinedError("'spread' is undefined"), "UndefinedError: 'spread' is undefined"),
        (KeyError("pacing"), "KeyError: 'pacing'"),
    ],
)
def test_a_defect_of_the_report_leaves_the_results_and_names_the_file_with_its_details(
    error: Exception,
    cause: str,
    finished: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def broken(*_: object) -> str:
        raise error

    monkeypatch.setattr(reports, "markdown", broken)
    assert main(finished) == FAILED
    said = capsys.readouterr()
    assert "ces_kd" in said.out and "report: " not in said.out
    assert said.err.startswith("error: the report could not be written: this is a bug of the program")
    assert cause in said.err and "Traceback" not in said.err
    details = next(tmp_path.glob("orchestrator-error-*.txt"))
    assert str(details) in said.err and "Traceback" in details.read_text()
    assert main([*finished, "--verbose"]) == FAILED
    assert "Traceback" in capsys.readouterr().err


def test_a_storage_that_takes_no_report_is_named_in_one_line(
    finished: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise StorageError("the storage is full")

    monkeypatch.setattr(reports, "markdown", full)
    assert main(finished) == FAILED
    said = capsys.readouterr()
    assert "ces_kd" in said.out
    assert said.err == "error: the report could not be written: the storage is full\n"
