"""Folder for the files of a local Ray: sessions, logs and sockets."""

from __future__ import annotations

import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from orchestrator.recipe.schema import RecipeError
from orchestrator.storage.full_disk import ROOM

LONGEST_SOCKET = 107 if os.uname().sysname == "Linux" else 103  # bytes of a Unix socket's path
SESSION = "/ray/session_2000-01-01_00-00-00_000000_9999999/sockets/plasma_store.9"


def prepare_folder(variables: MutableMapping[str, str] = os.environ) -> str | None:
    """Set ``RAY_TMPDIR`` to ``/tmp/ray-UID`` if Ray's default folder can't be used.

    Returns:
        A line that reports the change; None if the default is used.

    Raises:
        RecipeError: when the folder that ``RAY_TMPDIR`` names can't be used, or none can.
    """
    named = variables.get("RAY_TMPDIR")
    if named is not None:
        why = _fault(Path(named))
        if why:
            raise RecipeError(f"RAY_TMPDIR is '{named}', where Ray can't work: {why}; set it to {_ADVICE}")
        return None
    default = Path(variables.get("TMPDIR") or "/tmp")
    why = _fault(default)
    if not why:
        return None
    other = Path(f"/tmp/ray-{os.getuid()}")
    still = _fault(other)
    if still:
        raise RecipeError(
            f"Ray can't work in {default}/ray: {why}; nor in {other}: {still}. Set RAY_TMPDIR to {_ADVICE}"
        )
    variables["RAY_TMPDIR"] = str(other)
    return f"Ray can't work in {default}/ray: {why}; its files go to {other}/ray"


_ADVICE = "a writable folder with a short path and free space, such as /tmp/r"


def _fault(folder: Path) -> str | None:
    """Returns why Ray can't use a folder below this one; None if it can."""
    length = len(os.fsencode(f"{folder}{SESSION}"))
    if length > LONGEST_SOCKET:
        return f"the paths of its sockets would be {length} bytes long, and the system allows {LONGEST_SOCKET}"
    if not folder.is_absolute():
        return "it is not an absolute path"
    try:
        (folder / "ray").mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder / "ray") as probe:
            probe.write(b"\0" * ROOM)
    except OSError as error:
        return f"{error.strerror} ({error.filename or folder / 'ray'})"
    return None
