"""Code that a person brings: a callable of their own that a recipe names as ``module:callable``.

The module lies in the folder that the run is started from or on PYTHONPATH, on every node. What a callable does is part
of the science, so a stage's identity has the SHA-256 of the file that it stands in. Only of that file: what it imports
in its turn is not followed.
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


class OwnCodeError(UserError):
    """A ``module:callable`` leads nowhere; the message names it, and what to do."""


def is_own(name: str) -> bool:
    """Whether a name is one of a person's own, and not a registered one."""
    return ":" in name


def load(name: str) -> Callable[..., Any]:
    """The callable of that name.

    Raises:
        OwnCodeError: when there is no such module, it can't be imported, it lies in no file that can be told from
            another, or it has no such callable.
    """
    if not PATH.fullmatch(name):
        raise OwnCodeError(f"{name!r} is no path of the form module:callable, for example my_code:late")
    module_name, attribute = name.split(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        remedy = "install it, or run from its folder, or put that on PYTHONPATH"
        raise OwnCodeError(f"{name}: there is no module {error.name!r}; {remedy}") from error
    except Exception as error:  # whatever a module of a person's own raises while it is imported
        raise OwnCodeError(f"{name}: its module can't be imported: {type(error).__name__}: {error}") from error
    if _file(module_name) is None:
        raise OwnCodeError(f"{name}: module {module_name!r} lies in no file of its own; put the callable into one")
    found = getattr(module, attribute, None)
    if not callable(found):
        raise OwnCodeError(f"{name}: module {module_name!r} has no callable {attribute!r}; check its name")
    return found


def sources(*names: str) -> dict[str, str]:
    """SHA-256 of the file behind each callable of a person's own, by its name.

    Registered names are left out, and modules that are not found: ``checks.py`` says so, before anything trains.
    """
    found = {}
    for name in sorted(set(filter(is_own, names))):
        file = _file(name.partition(":")[0])
        if file is not None:
            found[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def _file(module: str) -> Path | None:
    """The file of a module, which is not imported; the packages that it lies in are."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, SyntaxError, ValueError):
        return None
    file = Path(spec.origin) if spec is not None and spec.origin else None
    return file if file is not None and file.is_file() else None
