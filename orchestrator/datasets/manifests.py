"""Listings of sets of photos that are kept in the storage, so that a set is listed once.

A kept listing is used as long as the set's stamps are what they were: the times of its folders, or of its shards. The
folders of an object store have none; a set there is the one that was listed, until it is listed again on demand. So is
a set whose folder was removed since its photos are packed.
Whatever was kept, ``ingest`` compares each photo with the listing when it reads it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

import pyarrow as pa

from orchestrator.datasets.bucket import shown
from orchestrator.datasets.folders import UNSETTLED
from orchestrator.datasets.listing import Listing, Manifest, changes, encode, read_listing, read_manifest
from orchestrator.datasets.photos import Photos
from orchestrator.datasets.spec import DatasetRecipe
from orchestrator.locations import absolute, is_uri
from orchestrator.storage.storage import Storage, StorageError

_T = TypeVar("_T")

FOLDER = "manifests"


class PhotoSet(Protocol):
    """A module of a set of photos."""

    def scan(self, recipe: DatasetRecipe) -> Listing:
        """Returns the set's files, listed now.

        Raises:
            DatasetError: when the set can't be used.
        """
        ...

    def stamps(self, recipe: DatasetRecipe, known: Manifest) -> dict[str, str]:
        """Returns what ``known.stamps`` would be if the set were listed now, without listing its photos."""
        ...

    def photos(self, recipe: DatasetRecipe, listing: Listing) -> Photos:
        """Returns the photos of a listing, in its order."""
        ...


def _silent(_: str) -> None:
    return None


class Manifests:
    """Listings by recipe, each read or made at most once.

    Args:
        storage: where listings are kept; without it each set is listed anew.
        rescan: list sets again whatever is kept.
        keep: write new listings to the storage.
        say, warn: called with lines on what was listed, and on what has changed since.
    """

    def __init__(
        self, storage: Storage | None, *, rescan: bool = False, keep: bool = True,
        say: Callable[[str], None] = _silent, warn: Callable[[str], None] = _silent,
    ) -> None:  # fmt: skip
        self._storage, self._rescan, self._keep, self._say, self._warn = storage, rescan, keep, say, warn
        self._manifests: dict[str, Manifest] = {}
        self._listings: dict[str, Listing] = {}

    def manifest(self, recipe: DatasetRecipe, module: PhotoSet) -> Manifest:
        """Returns the metadata of a set.

        Raises:
            DatasetError: as ``PhotoSet.scan``.
        """
        name = file_name(recipe)
        if name not in self._manifests:
            kept = self._read(name, read_manifest)
            if kept is None or self._rescan or not self._holds(recipe, module, kept):
                self._listings[name] = self._list(recipe, module, name, kept)
                kept = self._listings[name].manifest
            self._manifests[name] = kept
        return self._manifests[name]

    def listing(self, recipe: DatasetRecipe, module: PhotoSet) -> Listing:
        """Returns the files of a set with its metadata.

        Raises:
            DatasetError: as ``PhotoSet.scan``.
        """
        name, manifest = file_name(recipe), self.manifest(recipe, module)
        if name not in self._listings:
            kept = self._read(name, read_listing)
            if kept is None or kept.manifest != manifest:  # another command may have listed the set since
                kept = self._list(recipe, module, name, manifest)
            self._listings[name] = kept
        return self._listings[name]

    def _holds(self, recipe: DatasetRecipe, module: PhotoSet, kept: Manifest) -> bool:
        removed = recipe.packed and not is_uri(recipe.root) and not os.path.exists(recipe.root)
        if removed or not kept.stamps:
            day = time.strftime("%Y-%m-%d %H:%M", time.localtime(kept.listed))
            self._say(f"dataset: {kept.images:,} images as listed on {day}; --rescan lists it again")
            return True
        return UNSETTLED not in kept.stamps.values() and module.stamps(recipe, kept) == kept.stamps

    def _list(self, recipe: DatasetRecipe, module: PhotoSet, name: str, kept: Manifest | None) -> Listing:
        listing = module.scan(recipe)
        if kept is not None:
            self._compare(recipe, name, kept, listing)
        if self._keep and self._storage is not None:
            try:
                self._storage.write_bytes(encode(listing), FOLDER, name)
            except StorageError as error:  # a command that writes nothing else can do without it
                self._warn(f"the listing of the data set could not be kept: {error}")
        return listing

    def _compare(self, recipe: DatasetRecipe, name: str, kept: Manifest, listing: Listing) -> None:
        before = self._read(name, read_listing)
        found = [] if before is None else changes(before.files, listing.files)
        if found:
            self._warn(f"dataset: {shown(recipe.root)} has changed since it was listed: {'; '.join(found)}")
        elif kept.fingerprint != listing.manifest.fingerprint:
            self._warn(f"dataset: {shown(recipe.root)} has other classes than when it was listed")
        elif self._rescan:
            self._say(f"dataset: {shown(recipe.root)} was listed again and has not changed")

    def _read(self, name: str, reader: Callable[[pa.NativeFile], _T]) -> _T | None:
        """Returns what ``reader`` makes of a kept listing; None where there is none that it can read."""
        storage = self._storage
        if storage is None:
            return None

        def read() -> _T:
            with storage.open(FOLDER, name) as file:
                return reader(file)

        try:
            return storage.reading(read)
        except (FileNotFoundError, ValueError):  # damaged, or of another version: a new one takes its place
            return None


def file_name(recipe: DatasetRecipe) -> str:
    """Returns the name of a listing's file: of the same set, by the same fields, whatever the folder of the command."""
    known = [recipe.name, absolute(recipe.root), recipe.image_column, recipe.label_column]
    digest = hashlib.sha256(json.dumps(known).encode()).hexdigest()
    return f"{recipe.name}-{digest[:16]}.parquet"
