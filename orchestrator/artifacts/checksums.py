"""Checksums of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from orchestrator.storage.storage import CHUNK


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
