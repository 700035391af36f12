"""Syntax checks and expansion of paths and URIs from command lines and recipes.

No file system is accessed; the code that opens a file reports whether it exists.
"""

from __future__ import annotations

import os
import re
import unicodedata

from orchestrator.errors import UserError

LONGEST_PATH, LONGEST_NAME, LONGEST_URI = 4095, 255, 1024  # bytes: Linux's limits, and that of an object store's key
ROOM = 512  # bytes for the paths of what is stored below a folder

PASSWORD = re.compile(r"://[^/]*:[^/]*@")
"""Matches in a URI that holds a user's name and password."""

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SLASH_MISSING = re.compile(  # ``name:rest`` is also the name of a file, so without any slash only known schemes count
    r"[A-Za-z][A-Za-z0-9+.-]*:[/\\](?!/)|(?:s3|gs|gcs|hdfs|abfss?|file|https?)(?::(?!//)|//)", re.IGNORECASE
)


class PathError(UserError):
    """Raised for a text that is not a usable path or URI; the message has what was found and what to give."""


def is_uri(place: str) -> bool:
    """Returns whether a place is a URI, rather than a path on a mounted file system."""
    return bool(_URI.match(place))


def absolute(place: str) -> str:
    """Returns a URI as it is, and the absolute path of anything else."""
    return place if is_uri(place) else os.path.abspath(os.path.expanduser(place))


def local_path(given: str) -> str:
    """Returns a path on a mounted file system, with ``~`` expanded.

    Raises:
        PathError: for an empty text, a URI, and names that no file system allows.
    """
    _check_text(given)
    _check_slashes(given)
    if _URI.match(given):
        raise PathError(f"found {given!r}, a URI; give a path on a file system that is mounted here")
    path = os.path.expanduser(given)
    if path.startswith("~"):
        raise PathError(f"found {given!r}, but no such user's home folder is known; write the path out")
    _check_length(given, len(os.fsencode(path)), LONGEST_PATH)
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.split("/")):
        raise PathError(
            f"found {_shortened(given)!r}, with a name of more than {LONGEST_NAME} bytes; give a shorter one"
        )
    return path


def folder_or_uri(given: str) -> str:
    """Returns a URI as it is, and anything else as ``local_path`` does.

    Raises:
        PathError: as ``local_path``, for a folder whose path is too long for the files below it, and for an ambiguous
            URI.
    """
    if _URI.match(given):
        return checked_uri(given)
    path = local_path(given)
    _check_length(given, len(os.fsencode(os.path.abspath(path))), LONGEST_PATH - ROOM)
    return path


def checked_uri(given: str) -> str:
    """Returns the text of a URI, or of a name that has no scheme, unchanged.

    Raises:
        PathError: for an empty text, a missing slash, ``..`` and ``#``.
    """
    _check_text(given)
    _check_slashes(given)
    _check_length(given, len(given.encode()), LONGEST_URI)
    scheme, mark, rest = given.partition("://")
    place, options, _ = rest.partition("?")
    if mark and ("#" in rest or (options and scheme.lower() == "file")):
        raise PathError(f"found {given!r}; a URI ends at '#', and file:// at '?': write %23 or %3F, or give a path")
    if mark and {".", ".."} & set(place.split("/")):
        raise PathError(f"found {given!r}; object stores treat '.' and '..' as folder names: write the place out")
    return given


def folder_name(given: str) -> str:
    """Returns the name of one folder, unchanged.

    Raises:
        PathError: for an empty text, a path of several names, and names that no file system allows.
    """
    _check_text(given)
    if "/" in given or given in (".", ".."):
        raise PathError(f"found {given!r}, a path; give the name of one folder")
    _check_length(given, len(given.encode()), LONGEST_NAME)
    return given


def _check_text(given: str) -> None:
    if not given.strip():
        raise PathError(f"found {given!r}, which is empty; give a path, or leave it out")
    for character in given:
        kind = unicodedata.category(character)
        if kind == "Cs":  # how Python holds bytes that are not UTF-8
            raise PathError(f"found {given!r}, which is not UTF-8; rename the folder or file")
        if kind == "Cc":
            raise PathError(f"found {_shortened(given)!r}, with the control character {character!r}; leave it out")


def _check_slashes(given: str) -> None:
    if _SLASH_MISSING.match(given):
        raise PathError(
            f"found {given!r}, which lacks a part of '://'; write a URI as scheme://place, or ./{given} for a path"
        )


def _check_length(given: str, length: int, limit: int) -> None:
    if length > limit:
        raise PathError(f"found {_shortened(given)!r}, {length} bytes long; give one of at most {limit}")


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:40]}...{text[-20:]}"
