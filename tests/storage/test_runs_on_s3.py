"""Whole runs whose storage is an S3: killed and continued, reported, exported, and through an outage."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest
import yaml

from orchestrator.artifacts.store import Store
from orchestrator.report.storage import read
from tests.run.conftest import ROOT, TINY
from tests.storage.conftest import S3, environment

pytestmark = pytest.mark.long

# As the default recipe: TAs, a score, a search, students by labels and by experts.
RECIPE: dict[str, Any] = TINY | {
    "ladder": {"networks": ["plain_cnn_6", "plain_cnn_4", "plain_cnn_2"]},
    "difficulty": {"scorer": "mean_loss"},
    "search": {"trials": 2, "round_size": 2, "methods": ["ces_kd"]},
    "methods": ["labels", "ces_kd"],
    "seeds": [0],
}
OUTAGE_SECONDS = 20


class Command:
    """A command that runs, with the lines that it has printed."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=folder, env=environment() | {"PYTHONPATH": python_path()},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self.waiting: Queue[str] = Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self.waiting.put(line)

    def until(self, text: str, seconds: float = 400) -> None:
        """Wait for a line with this text."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if text in self.waiting.get(timeout=1):
                    return
            except Empty:
                assert self.process.poll() is None, "".join(self.lines)
        pytest.fail(f"no line has {text!r}: {''.join(self.lines)}")

    def end(self, seconds: float = 500) -> tuple[int, str]:
        """The exit code and the output, once the command has ended."""
        code = self.process.wait(seconds)
        self.reader.join(10)
        return code, "".join(self.lines)


def python_path() -> str:
    return ":".join((str(ROOT), *filter(None, environment().get("PYTHONPATH", "").split(":"))))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the recipe."""
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    yield tmp_path


def run(folder: Path, uri: str, *more: str) -> Command:
    return Command(folder, "orchestrator.run", "recipe.yaml", "--storage", uri, *more)


def test_a_run_on_s3_is_killed_goes_on_through_an_outage_and_is_reported_exported_and_shown(
    s3: S3, folder: Path
) -> None:
    uri = s3.uri("runs")
    first = run(folder, uri)
    first.until("ingest done")
    first.until("done (")
    first.process.send_signal(signal.SIGKILL)
    first.end()
    second = run(folder, uri)
    second.until("student/")
    s3.proxy.mode = "reset"
    time.sleep(OUTAGE_SECONDS)
    s3.proxy.mode = "pass"
    code, said = second.end()
    assert code == 0 and "Traceback" not in said, said
    assert "report: s3://bucket/runs/reports/tiny-" in said.splitlines()[-1]
    content = read(Store(uri))
    assert content["run"]["complete"]
    assert any(row["state"] == "kept" for row in content["stages"])

    code, said = run(folder, uri).end()
    assert code == 0 and "nothing left to do" in said
    code, said = Command(folder, "orchestrator.report", uri).end()
    assert code == 0 and said.startswith("s3://bucket/runs/reports/tiny-") and said.endswith("report.html\n")
    code, said = Command(folder, "orchestrator.export", "--storage", uri, "--out", "out").end()
    assert code == 0 and (folder / "out" / "model.safetensors").is_file(), said
    shown = Command(folder, "orchestrator.dashboard", "--storage", uri, "--port", "0")
    shown.until("http://")
    shown.process.send_signal(signal.SIGINT)
    assert shown.end(60)[0] == 0


def test_a_run_whose_storage_hangs_from_the_start_ends_with_one_line(s3: S3, folder: Path) -> None:
    s3.proxy.mode = "hang"
    start = time.monotonic()
    code, said = run(folder, s3.uri("runs")).end()
    assert code == 2 and time.monotonic() - start < 40
    last = said.splitlines()[-1]
    assert last.startswith(f"error: storage '{s3.uri('runs')}' does not answer within 8 s: ")
    assert "Traceback" not in said
