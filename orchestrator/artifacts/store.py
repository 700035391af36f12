"""The content-addressed store: each artifact in a folder named by the identity of the stage that made it.

Layout below the storage URI (a local folder, NFS, or any URI that pyarrow opens: ``s3://``, ``gs://`` ...)::

    artifacts/<identity>/...            the files of one artifact
    artifacts/<identity>/artifact.json  its record, written last: without it there is no artifact
    set-aside/<identity>-<time>/        a damaged artifact, whose checksums no longer match
    checkpoints/<identity>/             of a training that has not ended yet
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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from pyarrow import fs as pafs

from orchestrator.artifacts.full_disk import full_disk_message, is_full_disk
from orchestrator.errors import UserError
from orchestrator.paths import PathError, folder_or_uri

RECORD = "artifact.json"
CHECKPOINT = "state.safetensors"
CHUNK = 1 << 22


def short(identity: str) -> str:
    """Returns the first digits of an identity, for names of folders and curves."""
    return identity.rsplit("-", 1)[-1][:8]


class StorageError(UserError):
    """The storage can't be opened, read or written, or does not hold what was asked for."""


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


class Store:
    """Reads and commits artifacts below one storage URI. Cheap to create: every worker creates its own from the URI."""

    def __init__(self, uri: str) -> None:
        try:
            self.uri = folder_or_uri(uri)
            if "://" in self.uri:
                self.filesystem, self.root = pafs.FileSystem.from_uri(self.uri)
            else:
                self.filesystem, self.root = pafs.LocalFileSystem(), str(Path(self.uri).absolute())
            if not self.root:
                raise ValueError("it names no bucket or folder")
        except PathError as error:
            raise StorageError(f"storage: {error}") from None
        except Exception as error:  # pyarrow raises a different class for every back end
            raise StorageError(f"storage '{uri}' can't be opened: {error}; try a folder or s3://bucket/path") from error

    @property
    def local_root(self) -> Path | None:
        """The storage's folder when it lies on a mounted file system, else None."""
        return Path(self.root) if isinstance(self.filesystem, pafs.LocalFileSystem) else None

    def ray_path(self, *parts: str) -> str:
        """The storage, or something below it, as Ray's ``storage_path`` wants it: an absolute path or a URI."""
        if self.local_root:
            return self.path(*parts)
        place, mark, query = self.uri.partition("?")  # such as ?endpoint_override=...
        return "/".join((place.rstrip("/"), *parts) if parts else (place,)) + mark + query

    def check_writable(self) -> None:
        """Writes and removes a small file, so that unreachable storage is reported before anything trains.

        Raises:
            StorageError: naming the URI and the cause.
        """
        probe = self.path(f".probe-{os.getpid()}")
        with self._writing():
            self.filesystem.create_dir(self.root, recursive=True)
            try:
                with self.filesystem.open_output_stream(probe) as stream:
                    stream.write(b"probe")
            finally:  # a full disk still takes the file's name, without its content
                if self.filesystem.get_file_info(probe).type == pafs.FileType.File:
                    self.filesystem.delete_file(probe)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns errors of writing to the storage into a StorageError; every write runs within this."""
        try:
            yield
        except StorageError:
            raise
        except Exception as error:  # pyarrow raises a different class for every back end
            if is_full_disk(error):
                raise StorageError(full_disk_message(self.uri)) from error
            raise StorageError(
                f"storage '{self.uri}' can't be written: {error}. Check that the place exists, that you may write "
                "there, and that its credentials are set; or give another one with --storage."
            ) from error

    def path(self, *parts: str) -> str:
        """Returns the path of something below the storage, for ``self.filesystem``."""
        return "/".join((self.root, *parts))

    def folder(self, identity: str) -> str:
        """Returns the folder of an artifact, for ``self.filesystem``."""
        return self.path("artifacts", identity)

    # -- small files ---------------------------------------------------------------------------------------------

    def read_text(self, *parts: str) -> str | None:
        """Returns the content of a small text file, None where there is none."""
        try:
            with self.filesystem.open_input_stream(self.path(*parts)) as stream:
                return stream.read().decode(errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(
                f"storage '{self.uri}' can't be read: {error}. Check that the place is a folder or bucket, and that "
                "its credentials are set; or give another one with --storage."
            ) from error

    def write_text(self, text: str, *parts: str) -> None:
        """Writes a small text file atomically: a reader sees the old content or the new, never a part."""
        self._write_whole(text.encode(), *parts)

    def _write_whole(self, content: bytes, *parts: str) -> None:
        target = self.path(*parts)
        with self._writing():
            self.filesystem.create_dir(os.path.dirname(target), recursive=True)
            if not self.local_root:  # an object store shows an object only when it is complete
                with self.filesystem.open_output_stream(target) as stream:
                    stream.write(content)
                return
            handle, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".part-")
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(content)
                os.chmod(temporary, 0o644)
                os.replace(temporary, target)
            except BaseException:
                os.unlink(temporary)
                raise

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
        return bool(self.filesystem.get_file_info(f"{self.folder(identity)}/{RECORD}").type == pafs.FileType.File)

    def damaged_files(self, artifact: Artifact) -> list[str]:
        """Returns the names of the artifact's files that are missing or differ from their record.

        Checksums are compared on a mounted file system; on an object store sizes are, and checksums when the files are
        fetched.
        """

        def check(item: tuple[str, FileRecord]) -> str | None:
            name, expected = item
            path = f"{self.folder(artifact.identity)}/{name}"
            info = self.filesystem.get_file_info(path)
            if info.type != pafs.FileType.File or info.size != expected["bytes"]:
                return name
            if self.local_root and file_sha256(Path(path)) != expected["sha256"]:
                return name
            return None

        with ThreadPoolExecutor(max_workers=4) as pool:
            return [name for name in pool.map(check, artifact.files.items()) if name]

    def set_aside(self, identity: str) -> str:
        """Moves a damaged artifact out of the way; returns its new path."""
        target = self.path("set-aside", f"{identity}-{int(time.time())}")
        folder, filesystem = self.folder(identity), self.filesystem
        with self._writing():
            filesystem.create_dir(os.path.dirname(target), recursive=True)
            if self.local_root:
                os.replace(folder, target)
            else:
                pafs.copy_files(folder, target, source_filesystem=filesystem, destination_filesystem=filesystem)
                filesystem.delete_dir(folder)
        return target

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A temporary folder to build an artifact in: inside a mounted storage, so that a commit is a rename."""
        parent = None
        with self._writing():
            if self.local_root:
                parent = self.local_root / "scratch"
                parent.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=parent, prefix="stage-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def commit(self, artifact: Artifact, scratch: Path) -> Artifact:
        """Moves the files of ``scratch`` into the artifact's folder, then writes its record as the very last thing.

        An earlier record is removed first, so that a crash in between never leaves a record that does not match its
        files.
        """
        files = {
            str(path.relative_to(scratch)): {"sha256": file_sha256(path), "bytes": path.stat().st_size}
            for path in sorted(scratch.rglob("*"))
            if path.is_file()
        }
        artifact = Artifact(**{**asdict(artifact), "files": files})
        folder = self.folder(artifact.identity)
        with self._writing():
            self.filesystem.create_dir(folder, recursive=True)
            if self.is_committed(artifact.identity):
                self.filesystem.delete_file(f"{folder}/{RECORD}")
            for name in files:
                self._move_in(scratch / name, f"{folder}/{name}")
        record = json.loads(json.dumps(asdict(artifact)))
        record["record_sha256"] = _record_checksum(record)
        self.write_text(json.dumps(record, indent=1, sort_keys=True), "artifacts", artifact.identity, RECORD)
        return artifact

    def _move_in(self, source: Path, target: str) -> None:
        self.filesystem.create_dir(os.path.dirname(target), recursive=True)
        if self.local_root:
            os.replace(source, target)
            return
        with open(source, "rb") as content, self.filesystem.open_output_stream(target) as stream:
            shutil.copyfileobj(content, stream, CHUNK)

    def fetch(self, artifact: Artifact) -> Path:
        """Returns a local folder with the artifact's files: the folder itself, or a checked copy on this node.

        Raises:
            StorageError: when a fetched file does not match its checksum, twice; the artifact is set aside then.
        """
        if self.local_root:
            return Path(self.folder(artifact.identity))
        cache = Path(tempfile.gettempdir()) / f"orchestrator-{os.getuid()}" / artifact.identity
        record = json.dumps(asdict(artifact), sort_keys=True)
        if (cache / RECORD).exists() and (cache / RECORD).read_text() == record:
            return cache  # fetched before, and not made again since
        cache.mkdir(parents=True, exist_ok=True)
        for name, expected in artifact.files.items():
            target = cache / name
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".part-{os.getpid()}-{target.name}")
            source = f"{self.folder(artifact.identity)}/{name}"
            if not any(self._download(source, part) == expected["sha256"] for _ in range(2)):
                part.unlink()
                if self.is_committed(artifact.identity):  # another process may have found it before
                    self.set_aside(artifact.identity)
                raise StorageError(f"{source} does not match its checksum; it is set aside, run again to make it anew")
            os.replace(part, target)
        (cache / RECORD).write_text(record)
        return cache

    def _download(self, source: str, target: Path) -> str:
        """Copies a file of the storage to this node; returns the SHA-256 of the copy."""
        with self.filesystem.open_input_stream(source) as stream, open(target, "wb") as out:
            shutil.copyfileobj(stream, out, CHUNK)
        return file_sha256(target)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def write_checkpoint(self, identity: str, content: bytes) -> None:
        """Replaces the one checkpoint of an unfinished training."""
        self._write_whole(content, "checkpoints", identity, CHECKPOINT)

    def read_checkpoint(self, identity: str) -> bytes | None:
        """Returns the last checkpoint of an unfinished training, None where there is none."""
        try:
            with self.filesystem.open_input_stream(self.path("checkpoints", identity, CHECKPOINT)) as stream:
                return stream.read()
        except FileNotFoundError:
            return None

    def checkpoint_time(self, identity: str) -> float | None:
        """Returns when the last checkpoint of an unfinished training was written, in unix seconds; None without one."""
        files = pafs.FileSelector(self.path("checkpoints", identity), allow_not_found=True, recursive=True)
        found = [info.mtime_ns for info in self.filesystem.get_file_info(files) if info.type == pafs.FileType.File]
        return max(found) / 1e9 if found else None

    def drop_checkpoint(self, identity: str) -> None:
        """Removes the files of an unfinished training, if there are any."""
        if self.filesystem.get_file_info(self.path("checkpoints", identity)).type == pafs.FileType.Directory:
            self.filesystem.delete_dir(self.path("checkpoints", identity))


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _record_checksum(record: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
