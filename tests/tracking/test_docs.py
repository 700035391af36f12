"""docs/tensorboard.md agrees with the program."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from orchestrator import dashboard, run
from orchestrator.execution.preflight import PACKAGES
from orchestrator.recipe.schema import Recipe
from orchestrator.tracking.hparams import COLUMNS
from orchestrator.tracking.names import SCALARS
from orchestrator.tracking.optuna_dashboard import PACKAGE
from tests.examples import tiny

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tensorboard.md").read_text()
PROSE = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
LINES = [line.strip().split("  #")[0].strip() for line in PAGE.splitlines() if line.startswith("    ")]
INSTALLED = {*PACKAGES.values(), PACKAGE}
COMMANDS = [line for line in [*LINES, *re.findall(r"`([^`\n]+)`", PROSE)] if line.startswith(("python", "make", "pip"))]


def test_every_curve_and_every_column_is_explained() -> None:
    names = [scalar.tag for scalar in SCALARS.values()] + list(COLUMNS)
    assert [name for name in names if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_one_that_there_is(command: str) -> None:
    words = shlex.split(command)
    if words[:3] == ["python", "-m", "orchestrator.dashboard"]:
        dashboard._parser().parse_args(words[3:])
    elif words[:3] == ["python", "-m", "orchestrator.run"]:
        run._parser().parse_intermixed_args(words[3:])
        tiny(*words[4:])
    elif words[0] == "make":
        subprocess.run([*words, "--dry-run"], cwd=ROOT, check=True, capture_output=True)
    else:
        assert words[:2] == ["pip", "install"] and words[2] in INSTALLED


def test_the_recipe_s_lines_are_fields_of_a_recipe() -> None:
    lines = [line for line in LINES if line.startswith("tracking")]
    fields = yaml.safe_load("\n".join(lines))
    assert list(fields) == ["tracking", "tracking_uri"]
    Recipe.model_validate(tiny().model_dump(mode="json") | fields, strict=False)


def test_the_packages_are_those_of_the_extras() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    assert all(f'"{package}"' in project for package in INSTALLED)
