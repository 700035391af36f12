"""The program's structure beyond the order of rooms, which the import-linter contracts in pyproject.toml hold."""

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


def test_models_need_only_torch_and_curricula_only_numpy() -> None:
    allowed = {"models": {"torch", "torchvision", "timm"}, "curricula": {"numpy"}}
    for part, packages in allowed.items():
        roots = {name.partition(".")[0] for path in below(part) for name in imported(path)}
        assert roots - sys.stdlib_module_names - {part} <= packages


def test_the_report_imports_what_draws_its_page_only_when_it_is_made() -> None:
    heavy = ("plotly", "optuna", "PIL", "pyarrow.parquet", "jinja2", "markupsafe")
    assert offenders(below("orchestrator.report"), *heavy, at_import=True) == {}


def test_datasets_and_the_command_line_import_torch_and_ray_only_when_they_are_needed() -> None:
    parts = ("preflight", "ray_address", "ray_connection", "ray_folder", "ray_session", "ray_token")
    files = [*below("orchestrator.datasets"), *(ROOT / f"orchestrator/execution/{part}.py" for part in parts)]
    assert offenders(files, "torch", "torchvision", "ray", at_import=True) == {}


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (
            "orchestrator.run, orchestrator.paths.__main__",
            {"torch", "torchvision", "ray", "optuna", "plotly", "jinja2"},
        ),
        ("orchestrator.execution.executor", {"torch", "torchvision", "ray.data", "ray.train", "ray.tune"}),
    ],
    ids=["of the command line", "of the process that executes a run"],
)
def test_imports_leave_out_what_takes_seconds(modules: str, heavy: set[str]) -> None:
    script = f"import sys, {modules}; print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_has_a_bounded_length(path: Path) -> None:
    assert len(path.read_text().splitlines()) < LONGEST


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "benchmarks").glob("*.py"))], ids=name_of)
def test_imports_from_the_project_exist(path: Path) -> None:
    # The type checker passes over modules that it does not find.
    mine = [name for name in imported(path) if inside(name, *PARTS, "benchmarks")]
    assert [name for name in mine if not (is_module(name) or is_module(name.rpartition(".")[0]))] == []


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()
