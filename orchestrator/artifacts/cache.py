"""Copies of artifacts' files on a node, for storages that are not mounted: one download a node and file.

``prepare`` makes a folder that stands for an artifact, and ``fetched`` fills it, file by file, as each is first opened;
``reading.FolderFiles`` calls it, so stages never fetch what they don't read. Layout below the cache's folder::

    <identity>-<digest>/origin.json     the storage, and the artifact's record; its digest is in the folder's name
    <identity>-<digest>/<file>          a copy whose checksum was right
    <identity>-<digest>/.<file>.lock    held while the file is downloaded or first opened
    <identity>-<digest>/.<file>.room    as large as the file, but without blocks: the room that its download takes
    .lock                               held while room is made

Locks are ``flock``: the kernel drops those of a process that dies. A process that has opened a copy keeps a shared lock
on it until it ends. Copies go in the order of their last opening, the oldest first, but none that is locked.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.artifacts.checksums import file_sha256
from orchestrator.storage.storage import StorageError

if TYPE_CHECKING:
    from orchestrator.artifacts.store import Artifact, FileRecord, Store

ORIGIN, LOCK = "origin.json", ".lock"
SPARE = 0.1  # share of a disk that a cache without a limit leaves free, if others' files allow it

_held: dict[Path, int] = {}  # descriptors of this process's copies, which hold their locks
_stores: dict[str, Store] = {}  # by location


@dataclass(frozen=True)
class Cache:
    """The place of copies on every node, and their bytes at most; None: what the disk holds."""

    folder: Path
    limit: int | None = None

    @classmethod
    def of(cls, folder: str | None, gigabytes: float | None) -> Cache:
        """Returns the cache of a recipe's resources; without a folder it lies in the temporary one."""
        place = Path(folder) if folder else Path(tempfile.gettempdir(), f"orchestrator-{os.getuid()}")
        return cls(place, None if gigabytes is None else int(gigabytes * 1e9))


def prepare(store: Store, artifact: Artifact, cache: Cache) -> Path:
    """Returns a folder of this node that stands for an artifact; nothing is downloaded yet."""
    _stores[store.location] = store
    plain = asdict(artifact)
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
    folder = cache.folder / f"{artifact.identity}-{digest[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    origin = {"storage": store.location, "limit": cache.limit, "identity": artifact.identity, "files": artifact.files}
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".origin-")
    with os.fdopen(handle, "w") as file:
        json.dump(origin, file)
    os.replace(temporary, folder / ORIGIN)  # written anew by each run, since its limit may be another
    return folder


def origin_of(folder: Path) -> dict[str, Any] | None:
    """Returns the content of a prepared folder's ``origin.json``; None for a folder that holds its files itself."""
    try:
        found: dict[str, Any] = json.loads((folder / ORIGIN).read_text())
        return found
    except FileNotFoundError:
        return None


def fetched(folder: Path, name: str, open_store: Callable[[str], Store]) -> Path:
    """Returns the path of a prepared folder's file, downloaded if this node has it not yet.

    It stays until this process ends.

    Args:
        folder: as ``prepare`` returned it, in any process of the node.
        name: the file's in the artifact.
        open_store: opens the storage by its location.

    Raises:
        FileNotFoundError: when the artifact has no such file.
        StorageError: when it does not match its checksum, twice (the artifact is set aside then), or when files that
            are in use leave it no room.
    """
    target = folder / name
    if target in _held and target.exists():  # someone may have emptied the temporary folder
        return target
    origin = origin_of(folder)
    if origin is None or name not in origin["files"]:
        raise FileNotFoundError(f"{name} is no file of the artifact in {folder}")
    record: FileRecord = origin["files"][name]
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(_beside(target, "lock")):
        if not target.exists():
            with _room(target, record["bytes"], folder.parent, origin["limit"]):
                _download(target, record, origin, name, open_store)
        _hold(target)
        os.utime(target)
    return target


def _hold(target: Path) -> None:
    descriptor = os.open(target, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    earlier = _held.pop(target, None)  # of another thread, or of a copy that is gone
    _held[target] = descriptor
    if earlier is not None:
        os.close(earlier)


def _download(
    target: Path, record: FileRecord, origin: dict[str, Any], name: str, open_store: Callable[[str], Store]
) -> None:  # fmt: skip
    location, identity = origin["storage"], origin["identity"]
    if location not in _stores:
        _stores[location] = open_store(location)
    store = _stores[location]
    part = _beside(target, "part")
    try:
        for _ in range(2):
            store.download(part, "artifacts", identity, name)
            if file_sha256(part) == record["sha256"]:
                os.replace(part, target)
                return
    finally:
        part.unlink(missing_ok=True)
    if store.is_committed(identity):  # another process may have found it before
        store.set_aside(identity)
    raise StorageError(
        f"{store.path('artifacts', identity, name)} does not match its checksum; it is set aside, run again to make it "
        "anew"
    )


@contextmanager
def _room(target: Path, size: int, cache: Path, limit: int | None) -> Iterator[None]:
    """Makes room for a file, and reserves it while the block lasts."""
    reserved = _beside(target, "room")
    with _locked(cache / LOCK):
        reserved.unlink(missing_ok=True)  # of a download that was killed
        missing = _missing(cache, size, limit)
        for path in _oldest_first(cache) if missing > 0 else ():
            missing -= _drop(path)
            if missing <= 0:
                break
        if missing > 0 and limit is not None:
            raise StorageError(
                f"resources.cache_gb: {limit / 1e9:g} GB in {cache} are too few for the files that are in use on this "
                f"node: {missing / 1e9:.3g} GB are missing; raise it"
            )
        with open(reserved, "wb") as file:
            file.truncate(size)
    try:
        yield
    finally:
        reserved.unlink(missing_ok=True)


def _missing(cache: Path, size: int, limit: int | None) -> int:
    """Returns the bytes that must go before a file of some size may come."""
    if limit is None:
        disk = shutil.disk_usage(cache)
        return size + int(SPARE * disk.total) - disk.free
    used = sum(map(_size, _copies(cache)))
    for reserved in cache.rglob(".*.room"):
        target = reserved.with_name(reserved.stem[1:])
        if not _drop_if_abandoned(reserved) and not target.exists():
            used += _size(reserved)
    return used + size - limit


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a download beside this one has just ended
        return 0


def _copies(cache: Path) -> list[Path]:
    return [path for path in cache.glob("*/**/*") if path.is_file() and not _internal(path)]


def _internal(path: Path) -> bool:
    return path.name == ORIGIN or path.name.startswith(".")


def _oldest_first(cache: Path) -> list[Path]:
    return sorted(_copies(cache), key=lambda path: path.stat().st_mtime_ns)


def _drop(path: Path) -> int:
    """Removes a copy that no process uses; returns the bytes that it had, 0 where it stays."""
    with _locked(_beside(path, "lock"), wait=False) as free, open(path, "rb") as file:
        if not free:
            return 0
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        size = path.stat().st_size
        path.unlink()
        return size


def _drop_if_abandoned(reserved: Path) -> bool:
    """Removes what a process that died left of a download; returns whether it did."""
    lock = reserved.with_suffix(".lock")
    with _locked(lock, wait=False) as free:
        if free:
            reserved.unlink(missing_ok=True)
            reserved.with_suffix(".part").unlink(missing_ok=True)
        return free


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")


@contextmanager
def _locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Holds a lock for a block; yields whether it was got, which without ``wait`` it may not be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
