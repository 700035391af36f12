"""How the program is cut: which part may import which, and how long a file may be."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("models", "curricula", "orchestrator")
FILES = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))
LONGEST = 350

# Modules that a run with nothing left to do imports.
LIGHT = [
    "recipe.py",
    "specs.py",
    "wording.py",
    "graph.py",
    "plan.py",
    "file_hash.py",
    "artifacts.py",
    "schedule.py",
    "states.py",
    *(f"progress/{path.name}" for path in sorted((ROOT / "orchestrator" / "progress").glob("*.py"))),
    "tracking.py",
    "dashboard.py",
    "own_code.py",
    "recipe_reference.py",
]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path, at_import: bool = False) -> Iterator[str]:
    """Dotted names that a file imports; ``at_import`` leaves out what it imports only inside functions."""

    def visit(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            package = path.relative_to(ROOT).with_suffix("").parts[: -node.level] if node.level else ()
            base = ".".join((*package, *((node.module,) if node.module else ())))
            yield from (f"{base}.{alias.name}" for alias in node.names)
        if at_import and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    yield from visit(ast.parse(path.read_text()))


def inside(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def below(folder: str) -> list[Path]:
    return [path for path in FILES if inside(".".join(path.relative_to(ROOT).parts[:-1]), folder)]


def offenders(paths: list[Path], *banned: str, at_import: bool = False) -> dict[str, list[str]]:
    """The files among ``paths`` that import something banned, with what."""
    assert paths
    found = {name_of(path): [name for name in imported(path, at_import) if inside(name, *banned)] for path in paths}
    return {name: names for name, names in found.items() if names}


@pytest.mark.parametrize("part", ["models", "curricula"])
def test_models_and_curricula_import_nothing_else_of_the_project(part: str) -> None:
    assert offenders(below(part), *(other for other in PARTS if other != part)) == {}


def test_models_need_only_torch_and_curricula_only_numpy() -> None:
    allowed = {"models": {"torch", "torchvision"}, "curricula": {"numpy"}}
    for part, packages in allowed.items():
        roots = {name.partition(".")[0] for path in below(part) for name in imported(path)}
        assert roots - sys.stdlib_module_names - {part} <= packages


def test_training_knows_nothing_of_ray_or_of_what_runs_it() -> None:
    above = [f"orchestrator.{name}" for name in ("stages", "executor", "run", "report", "graph", "recipe")]
    assert offenders(below("orchestrator.training"), "ray", *above) == {}


def test_datasets_know_nothing_of_what_uses_them() -> None:
    others = {path.relative_to(ROOT).parts[1].removesuffix(".py") for path in below("orchestrator")}
    others -= {"datasets", "own_code"}  # the latter knows of nothing here
    assert offenders(below("orchestrator.datasets"), *(f"orchestrator.{name}" for name in others)) == {}


@pytest.mark.parametrize("file", LIGHT)
def test_what_plans_imports_neither_torch_nor_ray(file: str) -> None:
    assert offenders([ROOT / "orchestrator" / file], "torch", "torchvision", "ray") == {}


def test_the_report_imports_neither_torch_nor_ray_and_what_draws_its_page_only_when_it_is_made() -> None:
    assert offenders(below("orchestrator.report"), "torch", "torchvision", "ray") == {}
    heavy = ("plotly", "optuna", "PIL", "pyarrow.parquet")
    assert offenders(below("orchestrator.report"), *heavy, at_import=True) == {}


def test_datasets_and_the_command_line_import_torch_and_ray_only_when_they_are_needed() -> None:
    files = [*below("orchestrator.datasets"), ROOT / "orchestrator/run.py", ROOT / "orchestrator/checks.py"]
    assert offenders(files, "torch", "torchvision", "ray", at_import=True) == {}


def test_stages_are_imported_by_the_executor_and_by_each_other_alone() -> None:
    others = [path for path in FILES if path not in below("orchestrator.stages")]
    assert set(offenders(others, "orchestrator.stages")) == {"orchestrator/executor.py"}


def test_the_executor_is_imported_by_the_command_line_alone() -> None:
    assert set(offenders(FILES, "orchestrator.executor")) == {"orchestrator/run.py"}


def test_ray_is_called_by_stages_and_what_starts_them_alone() -> None:
    callers = set(offenders(FILES, "ray"))
    stages = {name_of(path) for path in below("orchestrator.stages")}
    assert callers - stages == {"orchestrator/executor.py", "orchestrator/run.py"}


def test_importing_the_command_line_leaves_torch_and_ray_out() -> None:
    script = (
        "import sys, orchestrator.run; print({'torch', 'torchvision', 'ray', 'optuna', 'plotly'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_can_be_read_at_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) < LONGEST


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "benchmarks").glob("*.py"))], ids=name_of)
def test_what_a_file_imports_of_the_project_is_there(path: Path) -> None:
    # The type checker passes over modules that it does not find.
    mine = [name for name in imported(path) if inside(name, *PARTS, "benchmarks")]
    assert [name for name in mine if not (is_module(name) or is_module(name.rpartition(".")[0]))] == []


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()
