"""Stores for tests: a folder, a URI, and one that behaves like an object store."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs as pafs

from orchestrator.artifacts.store import Artifact, Store


class RemoteStore(Store):
    """A store behind a pyarrow file system that is no local one, so nothing may be renamed or opened by path."""

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.uri = "remote://bucket"
        self.filesystem = pafs.SubTreeFileSystem(str(folder), pafs.LocalFileSystem())
        self.root = "bucket"


class _Down:
    """A file system whose every access is reset."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        def fail(*_: object, **__: object) -> None:
            raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

        return fail


class DownStore(RemoteStore):
    """A store that doesn't answer; an access is tried once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.filesystem, self.patience = _Down(), 0.0


def local(folder: Path) -> Store:
    return Store(str(folder / "bucket"))


def uri(folder: Path) -> Store:
    return Store(f"file://{folder}/bucket")


def remote(folder: Path) -> Store:
    (folder / "bucket").mkdir(exist_ok=True)
    return RemoteStore(folder)


KINDS: list[Callable[[Path], Store]] = [local, uri, remote]


@pytest.fixture(params=KINDS, ids=lambda make: make.__name__)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Each kind of store in turn, below ``tmp_path / "bucket"``; fetched copies lie in a folder of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    made: Store = request.param(tmp_path)
    return made


def record(identity: str = "train-0", **changes: Any) -> Artifact:
    """A record as a stage would make it, before its files are known."""
    values: dict[str, Any] = {
        "identity": identity,
        "kind": "train",
        "name": "train/x",
        "spec": {"steps": 3},
        "inputs": {"data": "ingest-0"},
        "start": 1.0,
        "end": 2.5,
        "node": "here",
    }
    return Artifact(**values | changes)


FILES = {"weights.bin": bytes(range(256)) * 8, "folder/inner/rows.txt": b"one\ntwo\n", "empty": b""}


def commit(store: Store, identity: str = "train-0", **changes: Any) -> Artifact:
    """An artifact with ``FILES``."""
    with store.scratch() as scratch:
        for name, content in FILES.items():
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).write_bytes(content)
        return store.commit(record(identity, **changes), scratch)
