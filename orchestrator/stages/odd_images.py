"""Images that ingest counts and names, but does not leave out: those that occur twice, those of a single colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from orchestrator.artifacts.dataset import Oddity
from orchestrator.datasets.duplicates import EXAMPLES, digest, find_duplicates, is_blank


@dataclass
class Contents:
    """Content of a run of images: the digests of all, one after another, and the numbers of blank ones."""

    digests: bytearray = field(default_factory=bytearray)
    blank: list[int] = field(default_factory=list)

    def add(self, index: int, content: bytes | memoryview, pixels: npt.NDArray[np.uint8]) -> None:
        """Add an image, (height, width, channels); ``content`` is what makes it the same as another one."""
        self.digests += digest(content)
        if is_blank(pixels):
            self.blank.append(index)


def odd_images(
    contents: Contents, numbers: npt.NDArray[np.int64], subset: npt.NDArray[np.uint8], name: Callable[[int], str]
) -> dict[str, Oddity]:
    """Returns what is odd among the N images of a set, by kind.

    Args:
        contents: of all images, in their order.
        numbers: number of each image for ``name``, (N,).
        subset: part of the set that each image belongs to, (N,).
        name: returns an image's name.
    """
    found = find_duplicates(bytes(contents.digests), subset)

    def pairs(places: Sequence[tuple[int, int]]) -> tuple[str, ...]:
        return tuple(f"{name(int(numbers[one]))} is {name(int(numbers[other]))}" for one, other in places)

    return {
        "leaked": Oddity(found.leaked, pairs(found.leaked_pairs)),
        "repeated": Oddity(found.repeated, pairs(found.repeated_pairs)),
        "blank": Oddity(len(contents.blank), tuple(map(name, contents.blank[:EXAMPLES]))),
    }
