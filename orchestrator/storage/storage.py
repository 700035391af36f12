"""A place for files: a local folder, NFS, or any URI that pyarrow opens (``s3://``, ``gs://`` ...).

Every access is tried again for a while when its failure may pass (``outages.py``), and its errors are StorageErrors of
one line. Imports neither torch nor ray.
"""

from __future__ import annotations

import copy
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, TypeVar

import pyarrow as pa
from pyarrow import fs as pafs
from typing_extensions import Self

from orchestrator.errors import UserError
from orchestrator.locations import PASSWORD, PathError, folder_or_uri
from orchestrator.storage.full_disk import full_disk_message, is_full_disk
from orchestrator.storage.outages import PATIENCE, passes, persistently, reason

T = TypeVar("T")

CHUNK = 1 << 22
GOOGLE_LIMIT = "retry_limit_seconds"  # option of pyarrow's gs:// URIs
REQUEST_SECONDS = 10.0  # in which Google's client tries a request again
CONNECT_SECONDS, SILENT_SECONDS = 4.0, 4.0  # of AWS's client, which gives a request up after three of either
FIRST_PATIENCE = 8.0  # seconds in which a command's first access is tried again


class StorageError(UserError):
    """The storage can't be opened, read or written, or does not hold what was asked for."""


def _silent(_: str) -> None:
    return None


def _open(uri: str) -> tuple[pafs.FileSystem, str]:
    """Returns the file system of a URI, whose client gives a request up within seconds, and the path in it.

    Left to themselves, Google's client tries for 15 minutes, and a S3 that accepts and never answers is waited for
    without end: pyarrow sets time-outs where the file system is made by its class, but not where it is by a URI.
    """
    if uri.startswith(("gs://", "gcs://")) and GOOGLE_LIMIT not in uri:
        uri += f"{'&' if '?' in uri else '?'}{GOOGLE_LIMIT}={REQUEST_SECONDS:.0f}"
    filesystem, path = pafs.FileSystem.from_uri(uri)
    if isinstance(filesystem, pafs.S3FileSystem):
        _, (options,) = filesystem.__reduce__()  # everything that the URI says
        limits = {"connect_timeout": CONNECT_SECONDS, "request_timeout": SILENT_SECONDS}
        filesystem = pafs.S3FileSystem(**options | limits)
    return filesystem, path


class RayStorage(TypedDict, total=False):
    """Place that Ray Train and Ray Tune write to: a path, and a file system where it is no mounted folder.

    Not a URI: Ray would open it without the time-outs of ``_open``.
    """

    storage_path: str
    storage_filesystem: pafs.FileSystem


class Storage:
    """Files below one storage URI. Cheap to create: every worker creates its own from the URI.

    Attributes:
        uri: the URI, or the absolute path of a folder.
        filesystem: pyarrow's file system.
        root: path of the storage in it.
        patience: seconds in which an access is tried again.
        warn: called with a line when an access fails and is tried again.
        called, instead: name of the place in messages, and how another one is given.
    """

    called = "storage"
    instead = "give another one with --storage"

    def __init__(self, uri: str, patience: float = PATIENCE, warn: Callable[[str], None] = _silent) -> None:
        self.patience, self.warn = patience, warn
        try:
            self.uri = folder_or_uri(uri)
            if "://" in self.uri:  # some back ends ask the service already
                self.filesystem, self.root = persistently(lambda: _open(self.uri), patience, self._waits)
            else:
                self.filesystem, self.root = pafs.LocalFileSystem(), str(Path(self.uri).absolute())
            if not self.root:
                raise ValueError("it names no bucket or folder")
        except PathError as error:
            raise StorageError(f"{self.called}: {error}") from None
        except Exception as error:  # pyarrow raises a different class for every back end
            said = f"{self.called} '{uri}' can't be opened: {error}"
            raise StorageError(f"{said}; try a folder or s3://bucket/path") from error

    @classmethod
    def of_command(cls, uri: str, warn: Callable[[str], None] = _silent) -> Self:
        """Returns the storage of a command, once it has answered.

        Raises:
            StorageError: when it can't be read, or does not answer within some 20 seconds.
        """
        storage = cls(uri, FIRST_PATIENCE, warn)
        storage.info()
        storage.patience = PATIENCE
        return storage

    def impatient(self) -> Self:
        """Returns the same storage, for accesses that are not tried again."""
        other = copy.copy(self)
        other.patience = 0.0
        return other

    @property
    def local_root(self) -> Path | None:
        """The storage's folder when it lies on a mounted file system, else None."""
        return Path(self.root) if isinstance(self.filesystem, pafs.LocalFileSystem) else None

    @property
    def location(self) -> str:
        """The storage as any process can open it: the absolute path of a folder, or the URI."""
        return self.root if self.local_root else self.uri

    @property
    def shown(self) -> str:
        """The storage for people: the absolute path of a folder, or the URI without its password and options."""
        return self.root if self.local_root else PASSWORD.sub("://", self.uri.partition("?")[0]).rstrip("/")

    def for_ray(self, *parts: str) -> RayStorage:
        """Returns a folder of the storage as arguments of Ray's ``RunConfig``."""
        if self.local_root:
            return {"storage_path": self.path(*parts)}
        return {"storage_path": self.path(*parts), "storage_filesystem": self.filesystem}

    def path(self, *parts: str) -> str:
        """Returns the path of something below the storage, for ``filesystem``."""
        return "/".join((self.root, *parts))

    # -- accesses ------------------------------------------------------------------------------------------------

    def reading(self, operation: Callable[[], T]) -> T:
        """Return what an operation that reads the storage returns.

        Raises:
            FileNotFoundError: as the operation does.
            StorageError: for its other errors.
        """
        try:
            return persistently(operation, self.patience, self._waits)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._error(error, "read", "the place is a folder or bucket") from error

    def writing(self, operation: Callable[[], T]) -> T:
        """Return what an operation that writes to the storage returns; it may be done in part, and begun again.

        Raises:
            StorageError: for any error of it.
        """
        try:
            return persistently(operation, self.patience, self._waits)
        except StorageError:
            raise
        except Exception as error:  # pyarrow raises a different class for every back end
            raise self._error(error, "written", "the place exists, that you may write there") from error

    def _error(self, error: Exception, done: str, check: str) -> StorageError:
        if is_full_disk(error):
            return StorageError(full_disk_message(self.uri))
        place = f"{self.called} '{self.uri}'"
        if passes(error):
            tried = f" within {self.patience:.0f} s" if self.patience else ""
            return StorageError(
                f"{place} does not answer{tried}: {reason(error)}. Check the service and the network to "
                "it; finished stages are cached, and the same command continues."
            )
        return StorageError(
            f"{place} can't be {done}: {reason(error)}. Check that {check}, and that its credentials "
            f"are set; or {self.instead}."
        )

    def _waits(self, error: OSError) -> None:
        tried = f"fails and is tried again for {self.patience:.0f} s: {reason(error)}"
        self.warn(f"{self.called} '{self.uri}' {tried}")

    def check_writable(self) -> None:
        """Writes and removes a small file, so that unreachable storage is reported before anything trains.

        Raises:
            StorageError: naming the URI and the cause.
        """
        probe = self.path(f".probe-{os.getpid()}")

        def check() -> None:
            self.filesystem.create_dir(self.root, recursive=True)
            try:
                with self.filesystem.open_output_stream(probe) as stream:
                    stream.write(b"probe")
            finally:  # a full disk still takes the file's name, without its content
                if self.filesystem.get_file_info(probe).type == pafs.FileType.File:
                    self.filesystem.delete_file(probe)

        self.writing(check)

    def info(self, *parts: str) -> pafs.FileInfo:
        """Returns the type and size of something below the storage, or of the storage itself."""
        return self.reading(lambda: self.filesystem.get_file_info(self.path(*parts) if parts else self.root))

    def is_file(self, *parts: str) -> bool:
        """Returns whether there is a file."""
        return bool(self.info(*parts).type == pafs.FileType.File)

    def list(self, *parts: str, recursive: bool = False) -> list[pafs.FileInfo]:
        """Returns what is in a folder; nothing where there is no folder."""
        selector = pafs.FileSelector(self.path(*parts), allow_not_found=True, recursive=recursive)
        found: list[pafs.FileInfo] = self.reading(lambda: self.filesystem.get_file_info(selector))
        return found

    def read_bytes(self, *parts: str) -> bytes:
        """Returns the content of a file.

        Raises:
            FileNotFoundError: when there is none.
        """

        def read() -> bytes:
            with self.filesystem.open_input_stream(self.path(*parts)) as stream:
                return bytes(stream.read())

        return self.reading(read)

    def open(self, *parts: str) -> pa.NativeFile:
        """Returns a file that is open to be read at any place; reads from it are not tried again.

        Raises:
            FileNotFoundError: when there is none.
        """
        return self.reading(lambda: self.filesystem.open_input_file(self.path(*parts)))

    def read_text(self, *parts: str) -> str | None:
        """Returns the content of a small text file, None where there is none."""
        try:
            return self.read_bytes(*parts).decode(errors="replace")
        except FileNotFoundError:
            return None

    def write_text(self, text: str, *parts: str) -> None:
        """Writes a small text file atomically: a reader sees the old content or the new, never a part."""
        self.write_bytes(text.encode(), *parts)

    def write_bytes(self, content: bytes, *parts: str) -> None:
        """Writes a file atomically, as ``write_text``."""
        target = self.path(*parts)

        def write() -> None:
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

        self.writing(write)

    def move_in(self, source: Path, *parts: str) -> None:
        """Moves a local file into the storage: a rename where the storage is mounted, else an upload."""
        target = self.path(*parts)

        def move() -> None:
            self.filesystem.create_dir(os.path.dirname(target), recursive=True)
            if self.local_root:
                os.replace(source, target)
                return
            with open(source, "rb") as content, self.filesystem.open_output_stream(target) as stream:
                shutil.copyfileobj(content, stream, CHUNK)

        self.writing(move)

    def upload_folder(self, source: Path, *parts: str) -> None:
        """Copies the files of a local folder into one of the storage."""
        target = self.path(*parts)

        def upload() -> None:
            self.filesystem.create_dir(target, recursive=True)
            pafs.copy_files(str(source), target, destination_filesystem=self.filesystem)

        self.writing(upload)

    def download(self, target: Path, *parts: str) -> None:
        """Copies a file of the storage to a local one."""

        def download() -> None:
            with self.filesystem.open_input_stream(self.path(*parts)) as stream, open(target, "wb") as out:
                shutil.copyfileobj(stream, out, CHUNK)

        self.reading(download)

    def download_folder(self, target: Path, *parts: str) -> None:
        """Copies the files of a folder of the storage into a local one."""
        self.reading(lambda: pafs.copy_files(self.path(*parts), str(target), source_filesystem=self.filesystem))

    def remove_folder(self, *parts: str) -> None:
        """Removes a folder with its files, if there is one."""

        def remove() -> None:
            if self.filesystem.get_file_info(self.path(*parts)).type == pafs.FileType.Directory:
                self.filesystem.delete_dir(self.path(*parts))

        self.writing(remove)
