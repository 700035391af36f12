"""Files of artifacts, read for the report. A file that is missing, or too large to fetch for a figure, is None.

Artifacts never change, so their content stays in memory for the next time that the report is written.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from orchestrator.artifacts.store import Store

Found = TypeVar("Found")
MOST_FETCHED = 256 << 20  # bytes of one file that are read from storage that is not mounted

_read_before: dict[Any, Any] = {}


def once(key: Any, read: Callable[[], Found]) -> Found:
    """Returns ``read()``, from memory once it has returned something under this key."""
    if _read_before.get(key) is None:
        _read_before[key] = read()
    found: Found = _read_before[key]
    return found


def _once(store: Store, identity: str, name: str, read: Callable[[], Any]) -> Any:
    try:
        return once((store.uri, identity, name), read)
    except (OSError, ValueError, EOFError):  # gone, or damaged: the next run makes it again
        return None


def read_bytes(store: Store, identity: str, name: str) -> bytes | None:
    """A file of an artifact."""
    path = f"{store.folder(identity)}/{name}"
    try:
        size = store.filesystem.get_file_info(path).size
        if size is None or size > MOST_FETCHED:
            return None
        with store.filesystem.open_input_stream(path) as stream:
            return bytes(stream.read())
    except OSError:
        return None


def read_json(store: Store, identity: str, name: str) -> Any:
    """A JSON file of an artifact."""

    def read() -> Any:
        content = read_bytes(store, identity, name)
        return None if content is None else json.loads(content)

    return _once(store, identity, name, read)


def read_array(store: Store, identity: str, name: str) -> Any:
    """A numpy array of an artifact; on mounted storage mapped, not read."""

    def read() -> Any:
        if store.local_root:
            return np.load(Path(store.folder(identity)) / name, mmap_mode="r")
        content = read_bytes(store, identity, name)
        return None if content is None else np.load(io.BytesIO(content))

    return _once(store, identity, name, read)


def read_columns(store: Store, identity: str, name: str) -> dict[str, Any] | None:
    """The columns of a Parquet file of an artifact, as arrays."""

    def read() -> Any:
        import pyarrow.parquet as parquet  # a run with nothing left to do reads none

        content = read_bytes(store, identity, name)
        if content is None:
            return None
        table = parquet.read_table(io.BytesIO(content))
        return {column: table.column(column).to_numpy() for column in table.column_names}

    found: dict[str, Any] | None = _once(store, identity, name, read)
    return found
