"""A store on an S3 whose network fails: what passes is waited for, what lasts is one line, nothing is half done."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import StorageError, Store
from tests.artifacts.stores import FILES, commit
from tests.storage.conftest import S3, environment
from tests.storage.proxy import Mode

SLOW = [pytest.mark.long, pytest.mark.thorough]  # each try takes 12 s
FAULTS = ["reset", "slow_down", pytest.param("hang", marks=SLOW)]


@pytest.fixture(autouse=True)
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetched copies lie in a folder of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def later(s3: S3, seconds: float, mode: Mode) -> None:
    """Change the proxy's mode after a while."""
    threading.Timer(seconds, setattr, (s3.proxy, "mode", mode)).start()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_commit_waits_until_a_failure_has_passed(s3: S3, fault: Mode) -> None:
    store = Store(s3.uri("runs"))
    s3.proxy.mode = fault
    later(s3, 6, "pass")
    made = commit(store)
    assert store.find("train-0") == made and store.damaged_files(made) == []
    fetched = FolderFiles(store.fetch(made))
    assert all(fetched.path(name).read_bytes() == content for name, content in FILES.items())


@pytest.mark.parametrize("fault", FAULTS)
def test_an_outage_that_lasts_is_one_line_and_leaves_no_artifact(s3: S3, fault: Mode) -> None:
    store = Store(s3.uri("runs"), patience=4)
    s3.proxy.mode = fault
    start = time.monotonic()
    with pytest.raises(StorageError) as error:
        commit(store)
    assert time.monotonic() - start < 30
    assert str(error.value).startswith(f"storage '{store.uri}' does not answer within 4 s: ")
    assert "\n" not in str(error.value)
    s3.proxy.mode = "pass"
    assert store.find("train-0") is None and commit(store) == store.find("train-0")


def test_an_outage_between_two_files_of_a_commit_leaves_no_artifact(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(s3.uri("runs"), patience=2)
    move_in = store.move_in

    def failing(source: Path, *parts: str) -> None:
        if parts[-1] == "weights.bin":
            s3.proxy.mode = "reset"
        move_in(source, *parts)

    monkeypatch.setattr(store, "move_in", failing)
    with pytest.raises(StorageError, match="does not answer"):
        commit(store)
    s3.proxy.mode = "pass"
    assert not store.is_committed("train-0") and store.find("train-0") is None


def test_a_missing_bucket_is_refused_at_once(s3: S3) -> None:
    start = time.monotonic()
    with pytest.raises(StorageError, match=r"can't be written: Bucket 'nobody-s' not found.*--storage"):
        Store(s3.uri("runs").replace("bucket", "nobody-s")).write_text("x", "y")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("fault", FAULTS)
def test_a_command_reports_a_storage_that_is_down_from_the_start_within_seconds(s3: S3, fault: Mode) -> None:
    s3.proxy.mode = fault
    start = time.monotonic()
    with pytest.raises(StorageError, match="does not answer within 8 s"):
        Store.of_command(s3.uri("runs"))
    assert time.monotonic() - start < 25


def test_sigterm_ends_a_command_whose_storage_hangs_within_seconds(s3: S3) -> None:
    s3.proxy.mode = "hang"
    command = [sys.executable, "-m", "orchestrator.report", s3.uri("runs")]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        while not s3.proxy.connections:
            assert process.poll() is None
            time.sleep(0.1)
        start = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
        assert time.monotonic() - start < 12
        assert process.stderr is not None and "Traceback" not in process.stderr.read()
