"""The command ``python -m orchestrator.report``: pages made again, runs side by side, and a server."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from orchestrator import report
from orchestrator.artifacts.store import Store
from orchestrator.errors import PortError
from orchestrator.report.__main__ import main
from orchestrator.report.serve import HOST, open_server
from tests.examples import ROOT
from tests.report.examples import page, read, run_of, words
from tests.report.written import SIZES


def test_it_makes_the_latest_run_s_files_again_and_prints_where_the_page_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = run_of(tmp_path)
    page(made)
    folder = tmp_path / "reports" / made[0].run_id
    for name in ("report.md", "report.html"):
        (folder / name).unlink()
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert "Which method won?" in (folder / "report.html").read_text()
    assert (folder / "report.md").read_text().startswith("# tiny")


def test_a_run_that_is_not_there_is_an_error_that_lists_those_that_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = run_of(tmp_path)
    page(made)
    assert main([str(tmp_path), "tiny-0"]) == 2
    error = capsys.readouterr().err
    assert "run 'tiny-0' is not in storage" in error and made[0].run_id in error and error.count("\n") == 1


def test_a_storage_without_runs_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_a_damaged_report_json_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = run_of(tmp_path)
    page(made)
    (tmp_path / "reports" / made[0].run_id / "report.json").write_text('{"run": ')
    assert main([str(tmp_path)]) == 2
    assert "report.json is damaged" in capsys.readouterr().err


# -- runs side by side -------------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> list[str]:
    """Two runs of one storage that differ in one field of their recipes."""
    ids = []
    for change in ("distillation.temperature=4.0", "distillation.temperature=2.0"):
        chosen, store, artifacts = run_of(tmp_path, change)
        report.write(chosen, store, artifacts, set(), SIZES)
        ids.append(chosen.run_id)
    return ids


def test_runs_are_compared_by_methods_settings_schedules_and_cost(
    tmp_path: Path, two: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--compare", *two]) == 0
    place = Path(capsys.readouterr().out.strip())
    assert place == tmp_path / "reports" / f"compare-{'-'.join(two)}.html"
    text = place.read_text()
    assert read(text).text.keys() == {"methods", "settings", "schedule", "cost"}
    assert "75.00 ± 7.07 (n = 2)" in words(text, "methods")
    assert "distillation.temperature4.02.0" in words(text, "settings") and "differ: 1 of" in words(text, "settings")
    assert "pacing linear" in words(text, "schedule") and "in all" in words(text, "cost")
    assert len(read(text).figures) == 1
    for run in two:
        assert f'href="{run}/report.html"' in text


def test_one_run_can_t_be_compared_with_itself(
    tmp_path: Path, two: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--compare", two[0], two[0]]) == 2
    assert "give two different ones or more" in capsys.readouterr().err
    assert main([str(tmp_path), two[0], "--compare", two[1]]) == 2
    assert "give every run after it" in capsys.readouterr().err


# -- the server --------------------------------------------------------------------------------------------------


def test_it_serves_the_page_on_this_machine_until_ctrl_c(tmp_path: Path) -> None:
    made = run_of(tmp_path)
    page(made)
    serving = subprocess.Popen(
        [sys.executable, "-m", "orchestrator.report", str(tmp_path), "--serve", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert serving.stdout is not None
        serving.stdout.readline()
        address = re.match(r"http://\S+", serving.stdout.readline())
        assert address and address[0].startswith(f"http://{HOST}:")
        with urllib.request.urlopen(address[0], timeout=30) as answer:
            assert b"Which method won?" in answer.read()
        serving.send_signal(signal.SIGINT)
        assert serving.wait(30) == 0
    finally:
        serving.kill()
        serving.wait()


def test_a_port_that_is_taken_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from orchestrator.artifacts.store import Store
    from orchestrator.report.serve import open_server

    page(run_of(tmp_path))
    taken = open_server(Store(str(tmp_path)), 0)
    try:
        assert main([str(tmp_path), "--serve", str(taken.server_port)]) == 2
        assert "can't be opened" in capsys.readouterr().err
    finally:
        taken.server_close()


def test_a_taken_port_is_refused_naming_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page(run_of(tmp_path))
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        assert main([str(tmp_path), "--serve", str(port)]) == 2
        with pytest.raises(PortError):
            open_server(Store(str(tmp_path)), port)
    assert f"error: --serve {port}: the port can't be opened" in capsys.readouterr().err
