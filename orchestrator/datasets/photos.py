"""Encoded photos by index: the form in which a photo travels from where it lies to the decoder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestrator.datasets.decoding import BrokenImageError
from orchestrator.datasets.folders import printable


class Photos(Protocol):
    """Encoded photos of a data set. It can be pickled, and holds no open file: each process opens its own."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Returns the photo's name as messages show it."""
        ...

    def read(self, index: int) -> bytes:
        """Returns the content of a photo's file.

        Raises:
            BrokenImageError: when there is no such file.
            OSError: when the file system fails.
        """
        ...


@dataclass(frozen=True)
class FolderPhotos:
    """Photos in files below a folder; ``paths`` are relative to ``root``, with forward slashes."""

    root: str
    paths: Sequence[str]

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return printable(self.paths[index])

    def read(self, index: int) -> bytes:
        path = os.path.join(self.root, self.paths[index])
        try:
            with open(path, "rb") as file:
                return file.read()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise BrokenImageError(path, error.strerror or str(error)) from error
