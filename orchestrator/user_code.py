"""User-defined code: callables that a recipe names as ``module:callable``.

The module lies in the folder that the run is started from or on PYTHONPATH, on every node. A callable affects results,
so the SHA-256 of its file is part of a stage's identity; files that it imports are not.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.errors import UserError

PATH = re.compile(r"\w[\w.]*:\w+")
TIMM = "timm:"  # before the name of a network that the package timm has


class UserCodeError(UserError):
    """Raised when a ``module:callable`` can't be resolved; the message names it, and what to do."""


def is_user_defined(name: str) -> bool:
    """Returns True for a ``module:callable``, False for a registered name and for a network of timm."""
    return ":" in name and not name.startswith(TIMM)


def load(name: str) -> Callable[..., Any]:
    """Returns the callable.

    Raises:
        UserCodeError: when there is no such module, it can't be imported, it has no file, or it has no such callable.
    """
    if not PATH.fullmatch(name):
        raise UserCodeError(f"{name!r} is not of the form module:callable, for example my_code:late")
    module_name, attribute = name.split(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        remedy = "install it, or run from its folder, or put that on PYTHONPATH"
        raise UserCodeError(f"{name}: there is no module {error.name!r}; {remedy}") from error
    except Exception as error:  # importing a user's module may raise anything
        raise UserCodeError(f"{name}: its module can't be imported: {type(error).__name__}: {error}") from error
    if _file(module_name) is None:
        raise UserCodeError(f"{name}: module {module_name!r} has no file; put the callable into one")
    found = getattr(module, attribute, None)
    if not callable(found):
        raise UserCodeError(f"{name}: module {module_name!r} has no callable {attribute!r}; check its name")
    return found


def sources(*names: str) -> dict[str, str]:
    """Returns the SHA-256 of each user-defined callable's file, by the callable's name.

    Registered names are left out, and modules that are not found: ``execution/user_code_checks.py`` reports those.
    """
    found = {}
    for name in sorted(set(filter(is_user_defined, names))):
        file = _file(name.partition(":")[0])
        if file is not None:
            found[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def _file(module: str) -> Path | None:
    """Returns the file of a module without importing it; its parent packages are imported."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, SyntaxError, ValueError):
        return None
    file = Path(spec.origin) if spec is not None and spec.origin else None
    return file if file is not None and file.is_file() else None
