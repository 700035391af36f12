"""Imports of the package: numpy only."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import curricula

SCRIPT = """
import sys, numpy
before = set(sys.modules)
import {modules}
print(*sorted({{name.split(".")[0] for name in set(sys.modules) - before}}))
"""


def test_curricula_imports_only_numpy_and_the_standard_library() -> None:
    modules = [f"curricula.{module.name}" for module in pkgutil.iter_modules(curricula.__path__)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(modules=", ".join(modules))],
        cwd=Path(curricula.__path__[0]).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) - sys.stdlib_module_names - {"numpy"} == {"curricula"}
