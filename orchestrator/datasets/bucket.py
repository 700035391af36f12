"""Paths of a data set in an object store, with the few methods of ``pathlib.Path`` that listings need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pyarrow import fs as pafs

from orchestrator.locations import is_uri
from orchestrator.storage.storage import Storage


class Source(Storage):
    """The folder or bucket that a data set is read from."""

    called = "dataset.root"
    instead = "correct dataset.root"


@lru_cache(maxsize=4)
def source_of(root: str) -> Source:
    """Returns the place of a set's files, opened once in a process.

    Raises:
        StorageError: when it can't be opened.
    """
    return Source(root)


def shown(root: str) -> str:
    """Returns a root as messages show it: a URI without its options."""
    return root.partition("?")[0].rstrip("/") if is_uri(root) else root


@dataclass(frozen=True)
class BucketPath:
    """A file or folder below a data set's root; ``key`` is its path from there, empty for the root itself."""

    source: Source
    key: str = ""

    def __truediv__(self, name: str) -> BucketPath:
        return BucketPath(self.source, "/".join(part for part in (self.key, name) if part))

    def __str__(self) -> str:
        return "/".join((self.source.shown, *self._parts))

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """Ending of the name, with its dot."""
        return Path(self.name).suffix

    @property
    def parent(self) -> BucketPath:
        """Folder above; the root's is the root."""
        return BucketPath(self.source, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> BucketPath:
        """Returns a path beside this one."""
        return self.parent / name

    def is_dir(self) -> bool:
        """Returns whether there is a folder, which in an object store is any prefix of an object's name."""
        return bool(self.source.info(*self._parts).type == pafs.FileType.Directory)

    def is_file(self) -> bool:
        """Returns whether there is a file."""
        return bool(self.source.info(*self._parts).type == pafs.FileType.File)

    def read_bytes(self) -> bytes:
        """Returns the content of a file."""
        return self.source.read_bytes(*self._parts)

    def read_text(self, errors: str = "strict") -> str:
        """Returns the content of a text file."""
        return self.read_bytes().decode(errors=errors)

    def entries(self, recursive: bool = False) -> list[tuple[str, int | None]]:
        """Returns what is in a folder as (path from there, size in bytes), the size None for folders."""
        above = len(self.source.path(*self._parts)) + 1
        found = self.source.list(*self._parts, recursive=recursive)
        return [(entry.path[above:], entry.size if entry.type == pafs.FileType.File else None) for entry in found]

    @property
    def _parts(self) -> tuple[str, ...]:
        return (self.key,) if self.key else ()


AnyPath = Path | BucketPath


def place_of(root: str) -> AnyPath:
    """Returns the path of a set's root.

    Raises:
        StorageError: when it is in an object store that does not answer within some 20 seconds.
    """
    return BucketPath(Source.of_command(root)) if is_uri(root) else Path(root)
