"""Files that a recipe names, known by their content. Imports neither torch nor ray."""

from __future__ import annotations

import hashlib
from pathlib import Path

from orchestrator.recipe import RecipeError


def file_hash(path: str) -> str:
    """SHA-256, in hexadecimal, of a file of weights that a recipe names.

    Raises:
        RecipeError: when it can't be read, or is no plain file.
    """
    place = Path(path).expanduser()
    try:
        if place.is_file() or not place.exists():
            with open(place, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:  # ValueError: a name that no file system takes
        reason = getattr(error, "strerror", None) or error
        raise RecipeError(f"ladder.networks: weights file {path} can't be read: {reason}") from error
    kind = "a folder" if place.is_dir() else "no plain file"  # to read a pipe would wait without end
    raise RecipeError(f"ladder.networks: weights {path} is {kind}; name a .safetensors file")
