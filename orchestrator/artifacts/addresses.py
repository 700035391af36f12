"""Addresses of files and folders in the storage, for messages."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.artifacts.store import Store

_PLAIN = re.compile(r"[\w@+=:,./~-]+")  # needs no quoting in a shell or a browser


def address(store: Store, *parts: str) -> str:
    """Returns the address of something below the storage, to be pasted into a shell or a browser.

    On a mounted file system that is its path, or its ``file://`` URI where the path has a space or another character
    that a shell would need quoted. Elsewhere it is its URI, such as ``s3://bucket/runs/reports``, without the storage's
    password and options.
    """
    if store.local_root:
        path = store.path(*parts)
        return path if _PLAIN.fullmatch(path) else Path(path).as_uri()
    return "/".join((store.shown, *parts))
