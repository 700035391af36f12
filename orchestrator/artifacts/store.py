"""The content-addressed store: each artifact in a folder named by the identity of the stage that made it.

Layout below the storage URI::

    artifacts/<identity>/...            the files of one artifact
    artifacts/<identity>/artifact.json  its record, written last: without it there is no artifact
    set-aside/<identity>-<time>/        a damaged artifact, whose checksums no longer match
    checkpoints/<identity>/             of a training that has not ended yet
    manifests/                          listings of data sets of photos
    logs/                               TensorBoard files
    mlflow/, wandb/                     tracked runs, where the recipe asks for them
    reports/<run id>/                   one folder a run
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

from pyarrow import fs as pafs

from orchestrator.artifacts.cache import Cache, prepare
from orchestrator.artifacts.checksums import file_sha256 as file_sha256  # callers find it here too
from orchestrator.storage.storage import Storage
from orchestrator.storage.storage import StorageError as StorageError  # raised by all its accesses

RECORD = "artifact.json"
CHECKPOINT = "state.safetensors"
HASHED_BYTES = 4 << 30  # of an artifact whose files are read to be compared with their checksums


def short(identity: str) -> str:
    """Returns the first digits of an identity, for names of folders and curves."""
    return identity.rsplit("-", 1)[-1][:8]


class FileRecord(TypedDict):
    """SHA-256 of a file, in hexadecimal digits, and its size."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Artifact:
    """The record of one finished stage, as ``artifact.json`` holds it.

    ``start`` and ``end`` are unix seconds of the work that made it; ``files`` has the checksum and size of each file by
    its name in the folder; ``results`` are values of the stage that are read without opening its files.
    """

    identity: str
    kind: str
    name: str
    spec: dict[str, Any]
    inputs: dict[str, str]
    start: float
    end: float
    node: str
    files: dict[str, FileRecord] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def slot_seconds(self) -> float | None:
        """Seconds of all work on it, added up over workers and runs; None where an old version made it.

        ``results["cost"]`` has those of the last work, from ``start`` to ``end``, and of the work before it.
        """
        cost = self.results.get("cost")
        return cost["slot_seconds"] + cost.get("earlier_slot_seconds", 0.0) if cost else None


class Store(Storage):
    """Reads and commits artifacts below one storage URI."""

    def folder(self, identity: str) -> str:
        """Returns the folder of an artifact, for ``self.filesystem``."""
        return self.path("artifacts", identity)

    # -- artifacts -----------------------------------------------------------------------------------------------

    def find(self, identity: str) -> Artifact | None:
        """Returns the artifact's record, None where the stage has not finished yet or the record is damaged."""
        text = self.read_text("artifacts", identity, RECORD)
        if text is None:
            return None
        try:
            record = json.loads(text)
            checksum = record.pop("record_sha256", None)
            return Artifact(**record) if checksum in (None, _record_checksum(record)) else None
        except (ValueError, TypeError, AttributeError):
            return None

    def is_committed(self, identity: str) -> bool:
        """Returns whether there is a record, damaged or not."""
        return self.is_file("artifacts", identity, RECORD)

    def damaged_files(self, artifact: Artifact) -> list[str]:
        """Returns the names of the artifact's files that are missing or differ from their record.

        Sizes are compared, and on a mounted file system checksums, unless the artifact has more than ``HASHED_BYTES``:
        reading the photos of a large set would take minutes at the start of every command. Elsewhere checksums are
        compared when files are fetched.
        """
        above = len(self.folder(artifact.identity)) + 1
        found = self.list("artifacts", artifact.identity, recursive=True)  # one request, where a file each was one
        sizes = {entry.path[above:]: entry.size for entry in found if entry.type == pafs.FileType.File}
        hashed = self.local_root and sum(file["bytes"] for file in artifact.files.values()) <= HASHED_BYTES

        def check(item: tuple[str, FileRecord]) -> str | None:
            name, expected = item
            if sizes.get(name) != expected["bytes"]:
                return name
            if hashed and file_sha256(Path(self.folder(artifact.identity), name)) != expected["sha256"]:
                return name
            return None

        with ThreadPoolExecutor(max_workers=4) as pool:
            return [name for name in pool.map(check, artifact.files.items()) if name]

    def set_aside(self, identity: str) -> str:
        """Moves a damaged artifact out of the way; returns its new path."""
        target = self.path("set-aside", f"{identity}-{int(time.time())}")
        folder, filesystem = self.folder(identity), self.filesystem

        def move() -> None:
            filesystem.create_dir(os.path.dirname(target), recursive=True)
            if self.local_root:
                os.replace(folder, target)
            else:
                pafs.copy_files(folder, target, source_filesystem=filesystem, destination_filesystem=filesystem)

        self.writing(move)
        if not self.local_root:
            self.remove_folder("artifacts", identity)
        return target

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder to build an artifact in: inside a mounted storage, so that a commit is a rename."""
        parent = self.local_root / "scratch" if self.local_root else None

        def make() -> Path:
            if parent:
                parent.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(dir=parent, prefix="stage-"))

        folder = self.writing(make)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def begin(self, identity: str) -> None:
        """Makes an artifact's folder ready for its files.

        An earlier record is removed, so that a crash in between never leaves a record that does not match its files.
        """

        def begin() -> None:
            self.filesystem.create_dir(self.folder(identity), recursive=True)
            if self.is_committed(identity):
                self.filesystem.delete_file(self.path("artifacts", identity, RECORD))

        self.writing(begin)

    def place(self, file: Path, identity: str) -> FileRecord:
        """Moves a file of a begun artifact into its folder, from whichever node made it; returns what to commit."""
        record = _record_of(file)
        self.move_in(file, "artifacts", identity, file.name)
        return record

    def commit(
        self, artifact: Artifact, scratch: Path, placed: Mapping[str, FileRecord] | None = None
    ) -> Artifact:  # fmt: skip
        """Moves the files of ``scratch`` into the artifact's folder, then writes its record as the very last thing.

        ``placed`` are files that lie there already (``place``), by name.
        """
        files = {
            str(path.relative_to(scratch)): _record_of(path) for path in sorted(scratch.rglob("*")) if path.is_file()
        }
        artifact = Artifact(**{**asdict(artifact), "files": {**files, **(placed or {})}})
        place = ("artifacts", artifact.identity)
        self.begin(artifact.identity)
        for name in files:
            self.move_in(scratch / name, *place, name)
        self._write_record(artifact)
        return artifact

    def extend(self, artifact: Artifact, scratch: Path) -> Artifact:
        """Adds the files of ``scratch`` that a committed artifact has not, then replaces its record, with all files."""
        new = {path.name: path for path in sorted(scratch.iterdir()) if path.name not in artifact.files}
        extended = replace(artifact, files={**artifact.files, **{name: _record_of(new[name]) for name in new}})
        for name, path in new.items():
            self.move_in(path, "artifacts", artifact.identity, name)
        self._write_record(extended)
        return extended

    def _write_record(self, artifact: Artifact) -> None:
        record = json.loads(json.dumps(asdict(artifact)))
        record["record_sha256"] = _record_checksum(record)
        self.write_text(json.dumps(record, indent=1, sort_keys=True), "artifacts", artifact.identity, RECORD)

    def fetch(self, artifact: Artifact, cache: Cache | None = None) -> Path:
        """Returns a local folder for ``FolderFiles``: the artifact's own on a mounted file system.

        Elsewhere it is one of this node's cache, which gets each file when it is first opened (``cache.py``).
        """
        if self.local_root:
            return Path(self.folder(artifact.identity))
        return prepare(self, artifact, cache or Cache.of(None, None))

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def write_checkpoint(self, identity: str, content: bytes) -> None:
        """Replaces the one checkpoint of an unfinished training."""
        self.write_bytes(content, "checkpoints", identity, CHECKPOINT)

    def read_checkpoint(self, identity: str) -> bytes | None:
        """Returns the last checkpoint of an unfinished training, None where there is none."""
        try:
            return self.read_bytes("checkpoints", identity, CHECKPOINT)
        except FileNotFoundError:
            return None

    def checkpoint_time(self, identity: str) -> float | None:
        """Returns when the last checkpoint of an unfinished training was written, in unix seconds; None without one."""
        files = self.list("checkpoints", identity, recursive=True)
        found = [info.mtime_ns for info in files if info.type == pafs.FileType.File]
        return max(found) / 1e9 if found else None

    def drop_checkpoint(self, identity: str) -> None:
        """Removes the files of an unfinished training, if there are any."""
        self.remove_folder("checkpoints", identity)


def _record_of(path: Path) -> FileRecord:
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size}


def _record_checksum(record: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
