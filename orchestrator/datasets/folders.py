"""Listing of a folder of photos: the image files in it, and counts of the files that are left out."""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.datasets.bucket import AnyPath, BucketPath
from orchestrator.datasets.spec import DatasetError

EXTENSIONS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm",
    ".jp2", ".avif",
)  # fmt: skip
"""Extensions of image files, in any case; the content is checked when a file is decoded."""

SYSTEM_FOLDERS = ("__MACOSX", "@eaDir")
"""Folders of thumbnails and metadata that archives and file servers leave behind."""

BROKEN_LINK = -1
"""Size recorded for an image that is a dangling link; it stays in the list, to be reported as broken."""

SETTLING_SECONDS, UNSETTLED = 2.0, "just changed"
SHOWN = 5  # endings named in a note

Stamps = dict[str, str]
"""Results of ``stamp``, by path."""


@dataclass
class LeftOut:
    """Counts of the files that are left out, by reason."""

    endings: Counter[str] = field(default_factory=Counter)
    hidden: int = 0  # images whose name, or whose folder's, begins with a dot
    special: int = 0  # pipes, sockets and devices
    loose: Counter[str] = field(default_factory=Counter)  # images beside the class folders, by folder

    def add(self, other: LeftOut) -> None:
        """Add another one's counts."""
        self.endings += other.endings
        self.loose += other.loose
        self.hidden += other.hidden
        self.special += other.special

    def notes(self) -> list[str]:
        """Returns a sentence for each reason; empty if nothing is left out."""
        notes = []
        if self.endings:
            most = sorted(self.endings.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
            shown = [f"{count:,} {printable(ending) or 'without one'}" for ending, count in most]
            more = [f"{len(self.endings) - SHOWN} other endings"] if len(self.endings) > SHOWN else []
            notes.append(f"files left out for their ending: {', '.join(shown + more)}")
        if self.hidden:
            notes.append(f"images left out since they or their folders are hidden: {self.hidden:,}")
        if self.special:
            notes.append(f"pipes, sockets and devices left out: {self.special:,}")
        notes += [f"images left out that lie in {name}/ itself: {count:,}" for name, count in self.loose.items()]
        return notes


@dataclass(frozen=True)
class Folder:
    """A folder's own entries, sorted: folders by name, images as (name, size in bytes)."""

    folders: list[str]
    images: list[tuple[str, int]]


def is_image(name: str) -> bool:
    """Returns True if a file of this name is treated as an image."""
    return name.lower().endswith(EXTENSIONS)


def printable(name: str) -> str:
    """Returns a file's name with bytes that are not UTF-8 escaped, so that terminals and reports can show it."""
    return name.encode("utf-8", "backslashreplace").decode()


def read_folder(folder: AnyPath, left_out: LeftOut, stamps: Stamps) -> Folder:
    """Returns the entries of a folder without hidden and system folders.

    Args:
        folder: in a mounted file system or an object store.
        left_out: takes the counts of what is left out.
        stamps: takes the folder's stamp by its path, from before it was read; object stores have none.

    Raises:
        DatasetError: when it can't be read, or holds a link to a folder that is not there.
    """
    if isinstance(folder, BucketPath):
        return _read_bucket(folder, left_out)
    with refused_by_name(folder):
        stamps[str(folder)] = stamp(folder)
    found = Folder([], [])
    with _entries(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name.startswith("."):
                    left_out.hidden += _images_in(Path(entry.path))
                elif entry.name not in SYSTEM_FOLDERS:
                    found.folders.append(entry.name)
            else:
                _take_file(entry, found, left_out)
    found.folders.sort()
    found.images.sort()
    return found


def images_below(folder: AnyPath, left_out: LeftOut, stamps: Stamps) -> list[tuple[str, int]]:
    """Returns the images in a folder and its subfolders as (path from the folder, size in bytes), sorted by path.

    Args:
        folder, left_out, stamps: as ``read_folder`` has them.

    Raises:
        DatasetError: as ``read_folder``, and when a link leads back to a folder above.
    """
    if isinstance(folder, BucketPath):  # one request a thousand objects, in whatever folders they are
        return sorted(_images_of(folder.entries(recursive=True), left_out))
    images: list[tuple[str, int]] = []
    waiting: list[tuple[str, tuple[tuple[int, int], ...]]] = [("", ())]
    while waiting:
        below, above = waiting.pop()
        here = folder / below
        itself = _identity(here)
        if itself in above:
            raise DatasetError(f"{here}: a link to a folder that contains it; remove the link")
        found = read_folder(here, left_out, stamps)
        images += [(below + name, size) for name, size in found.images]
        waiting += [(f"{below}{name}/", (*above, itself)) for name in found.folders]
    return sorted(images)


def stamp(path: Path) -> str:
    """Returns a text that changes with the entries of a folder, or with the content of a file: its time and size.

    The time is that of the last change of any kind (ctime), which no tool sets back. One of the last two seconds makes
    no lasting stamp: the file system's clock may not tell a later change from it.
    """
    found = path.stat()
    if found.st_ctime > time.time() - SETTLING_SECONDS:
        return UNSETTLED
    return str(found.st_ctime_ns) if stat.S_ISDIR(found.st_mode) else f"{found.st_ctime_ns} {found.st_size}"


def _read_bucket(folder: BucketPath, left_out: LeftOut) -> Folder:
    entries = folder.entries()
    folders = [name for name, size in entries if size is None]
    for name in folders:
        if name.startswith("."):
            left_out.hidden += sum(is_image(inner) for inner, _ in (folder / name).entries())
    images = _images_of([entry for entry in entries if entry[1] is not None], left_out)
    shown = [name for name in folders if not name.startswith(".") and name not in SYSTEM_FOLDERS]
    return Folder(sorted(shown), sorted(images))


def _images_of(entries: Sequence[tuple[str, int | None]], left_out: LeftOut) -> list[tuple[str, int]]:
    """Returns the images among what a listing of an object store has found; the rest is counted."""
    images = []
    for path, size in entries:
        *above, name = path.split("/")
        if size is None or any(folder in SYSTEM_FOLDERS for folder in above):
            continue
        image = is_image(name)
        if name.startswith(".") or any(folder.startswith(".") for folder in above):
            left_out.hidden += image and not name.startswith("._")
        elif image:
            images.append((path, size))
        else:
            left_out.endings[os.path.splitext(name)[1].lower()] += 1
    return images


def _take_file(entry: os.DirEntry[str], found: Folder, left_out: LeftOut) -> None:
    name, image = entry.name, is_image(entry.name)
    if name.startswith("."):
        left_out.hidden += image and not name.startswith("._")  # which macOS writes beside each file it copies
    elif entry.is_file():
        if image:
            found.images.append((name, entry.stat().st_size))
        else:
            left_out.endings[os.path.splitext(name)[1].lower()] += 1
    elif entry.is_symlink() and not os.path.exists(entry.path):
        if not image:
            raise DatasetError(
                f"{entry.path}: a link that leads nowhere (to {os.readlink(entry.path)}); mend it or remove it"
            )
        found.images.append((name, BROKEN_LINK))
    else:
        left_out.special += 1


def _images_in(folder: Path) -> int:
    """Returns the number of images directly in a hidden folder; 0 if it can't be read, since it is not needed."""
    try:
        return sum(is_image(name) for name in os.listdir(folder))
    except OSError:
        return 0


def _identity(folder: Path) -> tuple[int, int]:
    with refused_by_name(folder):
        found = folder.stat()
    return found.st_dev, found.st_ino


@contextmanager
def _entries(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    with refused_by_name(folder), os.scandir(folder) as entries:
        yield entries


@contextmanager
def refused_by_name(path: AnyPath) -> Iterator[None]:
    """Turns an error of the file system into a DatasetError that names the path."""
    try:
        yield
    except OSError as error:
        raise DatasetError(
            f"{error.filename or path}: can't be read ({error.strerror}); see to it, or remove it"
        ) from error
