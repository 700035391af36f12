"""Full disks: recognised in every package's error, reported in one line, without a partial artifact."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.artifacts.store import StorageError, Store
from orchestrator.pipeline.specs import SearchSpec
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job, storage_faults
from orchestrator.storage.full_disk import is_full_disk, reserve
from tests.artifacts.stores import commit
from tests.examples import planned

FULL = OSError(errno.ENOSPC, "No space left on device")


def caused(by: Exception) -> Exception:
    error = RuntimeError("a trial failed")
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        caused(FULL),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),  # safetensors
        OSError("1024 requested and 512 written"),  # numpy
    ],
)
def test_a_full_disk_is_known_in_every_package_s_words(error: Exception) -> None:
    assert is_full_disk(error)
    with pytest.raises(StageError, match="no space left") as raised, storage_faults("runs"):
        raise error
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "Permission denied"), ValueError("280 images")])
def test_other_errors_are_not_called_a_full_disk(error: Exception) -> None:
    assert not is_full_disk(error)
    with pytest.raises(type(error)), storage_faults("runs"):
        raise error


def fill(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, the temporary files that the store writes lie on a device that is always full."""
    make = tempfile.mkstemp

    def on_a_full_disk(**options: Any) -> tuple[int, str]:
        handle, path = make(**options)
        os.close(handle)
        return os.open("/dev/full", os.O_WRONLY), path

    monkeypatch.setattr(tempfile, "mkstemp", on_a_full_disk)


def test_a_commit_to_a_full_disk_leaves_no_artifact_and_the_next_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path))
    with monkeypatch.context() as patched:
        fill(patched)
        with pytest.raises(StorageError, match=f"storage '{tmp_path}' is full: no space left.*the same command"):
            commit(store)
    assert store.find("train-0") is None and not store.is_committed("train-0")
    assert not list(tmp_path.rglob(".part-*")) and not list(tmp_path.glob("scratch/*"))
    assert store.damaged_files(commit(store)) == []


@pytest.mark.parametrize("write", ["write_text", "write_checkpoint"])
def test_earlier_files_stay_when_the_disk_is_full(write: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))
    store.write_text("before", "text")
    store.write_checkpoint("train-0", b"before")
    fill(monkeypatch)
    with pytest.raises(StorageError, match="is full"):
        store.write_text("after", "text") if write == "write_text" else store.write_checkpoint("train-0", b"after")
    assert store.read_text("text") == "before" and store.read_checkpoint("train-0") == b"before"
    assert not list(tmp_path.rglob(".part-*"))


def test_other_faults_of_writing_name_the_storage_too(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where a folder should be")
    with pytest.raises(StorageError, match=f"storage '{tmp_path}' can't be written: .*--storage"):
        Store(str(tmp_path)).write_text("x", "reports", "latest")


def test_a_mapped_file_has_all_its_blocks_before_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "views.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(1000, 100))
    reserve(path)
    assert path.stat().st_blocks * 512 >= path.stat().st_size > 400_000
    assert not np.load(path).any()


def test_a_trial_that_found_the_disk_full_is_no_result_and_ends_the_search(tmp_path: Path) -> None:
    from ray.tune.search import Searcher

    from orchestrator.stages.searcher import Trials

    chosen = planned()
    stage = next(iter(chosen.searches.values()))
    spec = stage.spec.model_dump(mode="json")
    job = Job(stage.kind, stage.name, stage.identity, spec, {}, str(tmp_path), ".", chosen.recipe.resources)
    trials = Trials(job, SearchSpec.from_plain(spec))
    assert isinstance(trials.suggest("a"), dict)
    trials.on_trial_complete("a", {"failure": "the storage is full", "is_storage_full": True})
    assert str(trials.storage_fault) == "the storage is full"
    assert trials.suggest("b") == Searcher.FINISHED
    assert not list(tmp_path.rglob("*.json"))
