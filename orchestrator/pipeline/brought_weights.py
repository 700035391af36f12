"""Hash of the file of weights that a recipe names for an expert. Imports neither torch nor ray."""

from __future__ import annotations

from pathlib import Path

from orchestrator.artifacts.store import file_sha256
from orchestrator.recipe.schema import RecipeError


def sha256_of_weights(path: str) -> str:
    """Returns the SHA-256 of a file of weights.

    Raises:
        RecipeError: when there is no such file, or it can't be read.
    """
    place = Path(path).expanduser()
    try:
        if place.is_file() or not place.exists():
            return file_sha256(place)
    except (OSError, ValueError) as error:  # ValueError: a name that no file system takes
        reason = getattr(error, "strerror", None) or error
        raise RecipeError(f"ladder.networks: weights file {path} can't be read: {reason}") from error
    kind = "a folder" if place.is_dir() else "no plain file"  # to read a pipe would wait without end
    raise RecipeError(f"ladder.networks: weights {path} is {kind}; name a .safetensors file")
