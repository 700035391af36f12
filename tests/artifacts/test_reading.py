"""Single files of an artifact, read from a local folder and from every kind of storage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.artifacts import reading, trained
from orchestrator.artifacts.reading import Files, FolderFiles, StoredFiles
from orchestrator.artifacts.store import Store
from tests.artifacts.formats import write_scores
from tests.artifacts.stores import record

VALUES = np.arange(6.0).reshape(2, 3)


@pytest.fixture(params=["folder", "storage"])
def files(request: pytest.FixtureRequest, store: Store, monkeypatch: pytest.MonkeyPatch) -> Files:
    """A score's files, and a history, read in both ways."""
    monkeypatch.setattr(reading, "_loaded", {})
    with store.scratch() as scratch:
        folder = write_scores(scratch / "inner", ["one"], [VALUES], [VALUES[None]], {"margin": np.arange(2.0)})
        trained.write(folder, [], np.eye(2, dtype=np.int64), None)
        artifact = store.commit(record(), folder)
    return FolderFiles(store.fetch(artifact)) if request.param == "folder" else StoredFiles(store, artifact.identity)


def test_json_arrays_and_columns_are_read(files: Files) -> None:
    assert files.json("score.json") == {"experts": ["one"], "ladder": ["one"], "views": 1, "classes": 3}
    for mode in (None, "r"):
        np.testing.assert_array_equal(files.array("clean-0.npy", mode), VALUES)
    assert {name: values.tolist() for name, values in files.columns("difficulty.parquet").items()} == {
        "margin": [0.0, 1.0]
    }


def test_a_missing_file_is_distinguished_from_an_existing_one(files: Files) -> None:
    assert files.has("score.json") and not files.has("learned_step.npy")
    assert trained.read_learned_step(files) is None
    with pytest.raises(FileNotFoundError):
        files.array("learned_step.npy")


def test_a_stored_file_is_read_once(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_loaded", {})
    with store.scratch() as scratch:
        trained.write(scratch, [{"step": 1}], np.eye(2, dtype=np.int64), None)
        store.commit(record(), scratch)
    files = StoredFiles(store, record().identity)
    assert files.json(trained.HISTORY) == [{"step": 1}]
    (tmp_path / "bucket" / "artifacts" / record().identity / trained.HISTORY).unlink()
    assert StoredFiles(store, record().identity).json(trained.HISTORY) == [{"step": 1}]


def test_a_file_that_is_too_large_to_fetch_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_loaded", {})
    monkeypatch.setattr(reading, "LARGEST", 10)
    with store.scratch() as scratch:
        trained.write(scratch, [{"step": 1}], np.eye(2, dtype=np.int64), None)
        store.commit(record(), scratch)
    with pytest.raises(OSError, match=r"history\.json of train-0 has 13 bytes, which are too many to fetch"):
        StoredFiles(store, "train-0").json(trained.HISTORY)
