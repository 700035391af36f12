"""Authentication token of a Ray cluster: the places where Ray looks for it, and a new one for a local Ray."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

from orchestrator.recipe.schema import RecipeError

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
MODES = ("token", "disabled")
TOKEN_HELP = (
    f"put the token of the cluster's head node (ray get-auth-token prints it there) into ~/.ray/auth_token, and set "
    f"{MODE}=token"
)


def find_token(variables: MutableMapping[str, str] = os.environ) -> str | None:
    """Returns the token, from the places where Ray looks for it; None if there is none.

    Raises:
        RecipeError: when a variable names a file without a token, or an unknown mode.
    """
    mode = variables.get(MODE)
    if mode is not None and mode not in MODES:
        raise RecipeError(f"{MODE} is '{mode}'; set it to {' or '.join(MODES)}, or unset it")
    if variables.get(TOKEN):
        return variables[TOKEN].strip()
    named = variables.get(TOKEN_PATH)
    if named:
        try:
            token = Path(named).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"{TOKEN_PATH} is '{named}', which can't be read: {error}; mend or unset it") from error
        if not token:
            raise RecipeError(f"{TOKEN_PATH} is '{named}', which is empty; put the token there, or unset it")
        return token
    folder = _default_folder(variables)
    try:
        return (folder / "auth_token").read_text().strip() or None if folder else None
    except (OSError, UnicodeDecodeError):
        return None


def prepare_token(variables: MutableMapping[str, str] = os.environ) -> None:
    """Provide a token for a local Ray where Ray can't create one itself.

    Ray writes a new token to ``~/.ray/auth_token``. If no file can be written there, the token is set in the
    environment, for this run only.

    Raises:
        RecipeError: as ``find_token``.
    """
    if find_token(variables) or variables.get(MODE) == "disabled":
        return
    folder = _default_folder(variables)
    try:
        if folder is None:
            raise FileNotFoundError("HOME is not set")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"token")
    except OSError:
        variables[TOKEN] = secrets.token_hex(32)


def _default_folder(variables: MutableMapping[str, str]) -> Path | None:
    """Returns the folder of Ray's token in the user's home, or None without a home."""
    home = variables.get("HOME")
    return Path(home) / ".ray" if home else None
