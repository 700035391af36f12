"""Detection of a full disk or quota in the errors of other packages, and the message for it."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

CODES = (errno.ENOSPC, errno.EDQUOT)
# Not every package keeps the error's number: safetensors has it as text, numpy says how much it could not write.
WORDS = re.compile(
    rf"no space left on (the )?device|disk quota exceeded|OutOfDisk|os error ({'|'.join(map(str, CODES))})\b"
    r"|\d+ requested and \d+ written",
    re.IGNORECASE,
)
ROOM = 1 << 20  # bytes; a disk with less free space counts as full


def is_full_disk(error: BaseException) -> bool:
    """Returns whether an error, or one of its causes, says that a disk or a quota is full."""
    return any(getattr(item, "errno", None) in CODES or says_full_disk(str(item)) for item in _causes(error))


def says_full_disk(message: str) -> bool:
    """Returns whether a message says that a disk or a quota is full."""
    return bool(WORDS.search(message))


def full_disk_message(storage: str) -> str:
    """Returns the message for an ``is_full_disk`` error of work that writes to the storage and the temporary folder."""
    place = f"storage '{storage}' is full"
    temporary = tempfile.gettempdir()
    if not _is_full(storage.removeprefix("file://")) and _is_full(temporary):
        place = f"the temporary folder {temporary} is full"
    return (
        f"{place}: no space left on the device, or the quota is used up. Make room there, or give another place "
        "(--storage, TMPDIR); finished stages are cached, and the same command continues"
    )


def reserve(path: Path) -> None:
    """Allocates all blocks of a sparse file, so that a memory map of it can be written.

    A write to a map for which the disk has no block ends the process with SIGBUS, which can't be caught.

    Raises:
        OSError: when the disk has too little space.
    """
    with open(path, "r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, max(1, os.fstat(stream.fileno()).st_size))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the error and all of its causes; Ray keeps the error of a worker in ``cause``."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        item = waiting.pop()
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        waiting += [item.__cause__, item.__context__, getattr(item, "cause", None)]


def _is_full(folder: str) -> bool:
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < ROOM
