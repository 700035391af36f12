"""Reads files of artifacts for the report, which is made without those that can't be read.

Artifacts never change, so what was read stays in memory for the next time that the report is written.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from orchestrator.artifacts.reading import Files, StoredFiles
from orchestrator.artifacts.store import Store

T = TypeVar("T")

_read_before: dict[Hashable, Any] = {}


def once(key: Hashable, read: Callable[[], T]) -> T:
    """Returns ``read()``, from memory once it has returned something under this key."""
    if _read_before.get(key) is None:
        _read_before[key] = read()
    found: T = _read_before[key]
    return found


def read(store: Store, identity: str, reader: Callable[[Files], T]) -> T | None:
    """Returns what a reader of ``orchestrator.artifacts`` returns for an artifact of the storage.

    None where a file is missing, damaged, or too large to fetch.
    """
    try:
        return reader(StoredFiles(store, identity))
    except (OSError, ValueError, EOFError):  # gone, or damaged: the next run makes it again
        return None
