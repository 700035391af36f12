"""Reads files of artifacts for the report, which is made without those that can't be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from orchestrator.artifacts.reading import Files, StoredFiles
from orchestrator.artifacts.store import Store

T = TypeVar("T")


def read(store: Store, identity: str, reader: Callable[[Files], T]) -> T | None:
    """Returns what a reader of ``orchestrator.artifacts`` returns for an artifact of the storage.

    None where a file is missing, damaged, or too large to fetch.
    """
    try:
        return reader(StoredFiles(store, identity))
    except (OSError, ValueError, EOFError):  # gone, or damaged: the next run makes it again
        return None
