"""Check of a published set's files in a folder: present, packed, misplaced, or different from those published.

It runs before anything is downloaded or started, so that a message describes the folder and not a later failure.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.datasets.folders import refused_by_name
from orchestrator.datasets.spec import DatasetError

BLOCK = 1 << 20


@dataclass(frozen=True)
class Published:
    """Published facts about one set.

    Attributes:
        files: the files that are read, in ``folder`` below ``dataset.root``.
        md5: checksum of each file that has a published one.
        archives: checksums of the downloads.
        packed_in: folder of the downloads below ``dataset.root``.
        sizes: bytes of the files without a published checksum.
    """

    torchvision_class: str
    classes: int
    image_shape: tuple[int, int, int]
    train_images: int
    test_images: int
    folder: str
    files: tuple[str, ...]
    md5: dict[str, str]
    archives: dict[str, str]
    packed_in: str = ""
    sizes: dict[str, int] = field(default_factory=dict)


def check_files(published: Published, root: str, download: bool) -> list[str]:
    """Returns the missing files, after a check of those that exist.

    With ``download``, torchvision unpacks complete archives without a network; their files count as missing here.

    Raises:
        DatasetError: for files with another content or in another folder, and for archives that are damaged or, without
            ``download``, still packed.
    """
    base = Path(root).expanduser()
    folder = base / published.folder
    with refused_by_name(folder):
        there = [name for name in published.files if (folder / name).is_file()]
        for name in there:
            _check_content(published, folder / name)
        missing = [name for name in published.files if name not in there]
        if missing:
            _look_elsewhere(published, base, missing)
            _look_for_archives(published, base, download)
    return missing


def _check_content(published: Published, file: Path) -> None:
    if file.name in published.md5:
        found, expected = f"MD5 {_md5(file)}", f"MD5 {published.md5[file.name]}"
    else:
        found, expected = f"{file.stat().st_size:,} bytes", f"{published.sizes[file.name]:,} bytes"
    if found != expected:
        raise _other_content(published, file, found, expected)


def _other_content(published: Published, file: Path, found: str, expected: str) -> DatasetError:
    with file.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b" and file.name in published.files
    remedy = "it is packed by gzip: unpack it" if packed else "remove it and fetch it again"
    return DatasetError(
        f"{file}: damaged, or not a file of {published.torchvision_class}: {found}, published is {expected}; {remedy}"
    )


def _look_elsewhere(published: Published, base: Path, missing: list[str]) -> None:
    """Raises DatasetError for files in another folder: a root one level too deep or too high, or no folder."""
    parts = published.folder.split("/")
    right = {**dict.fromkeys(missing, published.folder), **dict.fromkeys(published.archives, published.packed_in)}
    starts = ["/".join(parts[start:]) for start in range(1, len(parts) + 1)]
    ends = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    for place in (*starts, *ends, f"{published.folder}/{parts[-1]}"):
        found = [name for name in right if right[name] != place and (base / place / name).is_file()]
        if not found:
            continue
        lie, wanted = (base / place).absolute(), base / right[found[0]]
        if "/".join(lie.parts[-len(parts) :]) == right[found[0]]:
            remedy = f"set dataset.root to {lie.parents[len(parts) - 1]}"
        else:
            remedy = f"move them to {wanted}"
        raise DatasetError(
            f"dataset.root: files of {published.torchvision_class} lie in {lie} ({_some(found)}), and are looked for "
            f"in {wanted}; {remedy}"
        )


def _look_for_archives(published: Published, base: Path, download: bool) -> None:
    for archive_name, md5 in published.archives.items():
        archive = base / published.packed_in / archive_name
        if not archive.is_file():
            continue
        found = _md5(archive)
        if found != md5:
            raise _other_content(published, archive, f"MD5 {found}", f"MD5 {md5}")
        if not download:
            raise DatasetError(
                f"{archive}: still packed, and dataset.download is false; unpack it there, or set "
                "dataset.download: true, which unpacks it without a network"
            )


def _md5(file: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _some(names: list[str]) -> str:
    return ", ".join(names[:2]) + (" ..." if len(names) > 2 else "")
