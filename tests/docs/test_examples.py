"""Every example of the documentation works: run for real where that takes seconds, else as far as a machine alone can.

``pytest -v tests/docs`` lists every block with its page, its line and its kind.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from orchestrator import recipe as recipes
from orchestrator.recipe import Recipe
from tests.docs.conftest import PROGRAM, Workplace
from tests.docs.pages import ROOT, Block, blocks, commands, pages

BLOCKS = [block for page in pages() for block in blocks(page)]
FEW_STEPS = 50  # a recipe in which no network trains for more is run for real
HEAVY = ("ladder", "training", "search", "distillation", "difficulty", "curriculum")

# Commands that can't run in a test, by how they begin, and why.
NOT_RUN = {
    "ray ": "needs a cluster, on AWS or of several machines",
    "kubectl ": "needs a Kubernetes cluster",
    "aws ": "needs an AWS account",
    "pip install ": "would change the environment that the tests run in",
    "tensorboard ": "serves until it is stopped",
    "python -m orchestrator.run RECIPE ": "shows the form of a command",
}

# What stands for something that only a run can tell, and what it is in the run that docs/README.md shows.
PLACEHOLDERS: dict[str, Callable[[Workplace], str]] = {
    "<artifact>": lambda place: _report(place)["methods"][0]["artifact"],
    "<run>": lambda place: _latest(place),
}


def _latest(place: Workplace) -> str:
    return (place.folder / "runs" / "reports" / "latest").read_text().strip()


def _report(place: Workplace) -> dict[str, Any]:
    return json.loads((place.folder / "runs" / "reports" / _latest(place) / "report.json").read_text())


def of_kind(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", [block for block in BLOCKS if block.kind in kinds], ids=str)


def test_every_block_is_of_a_kind_that_is_tried() -> None:
    assert [str(block) for block in BLOCKS if block.kind not in ("sh", "python", "yaml", "files")] == []


# -- commands ----------------------------------------------------------------------------------------------------


def _steps(recipe: Recipe) -> int:
    """The most steps that a network of the recipe, or a trial, trains for."""
    own = [network.steps or recipe.training.steps for network in recipe.ladder.networks]
    return max(*own, recipe.search.steps or 0)


def _try_program(place: Workplace, command: str) -> None:
    words = shlex.split(command.removeprefix(PROGRAM), comments=True)
    names = [word for word in words if not word.startswith("-") and "=" not in word]
    if "-h" in words or "--help" in words or "--storage" in words:
        words = [word for word in words if not word.startswith("-")]
    source = str(place.folder / names[0]) if names and names[0].endswith(".yaml") else names[0] if names else None
    recipe = recipes.load(source, [word for word in words if "=" in word and not word.startswith("-")])
    if "--dry-run" in command or _steps(recipe) > FEW_STEPS:
        assert place.dry_run(command) == 0
        return
    done = place.run(command)
    assert done.returncode == 0, done.stderr[-3000:]


def _try_make(command: str) -> None:
    target = command.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"Makefile has no {target}"


@of_kind("sh")
def test_a_command_works(block: Block, request: pytest.FixtureRequest) -> None:
    for command in commands(block):
        reason = next((NOT_RUN[start] for start in NOT_RUN if command.startswith(start)), None)
        if reason:
            print(f"not run: {command}: {reason}")
        elif command.startswith("make "):
            _try_make(command)
        elif command.startswith(PROGRAM):
            _try_program(request.getfixturevalue("place"), command)
        else:
            place = request.getfixturevalue("finished" if "run" in command else "place")
            done = place.shell(_filled(command, place))
            assert done.returncode == 0, done.stderr[-3000:]


# -- Python ------------------------------------------------------------------------------------------------------


def _filled(text: str, place: Workplace) -> str:
    for placeholder, value in PLACEHOLDERS.items():
        if placeholder in text:
            text = text.replace(placeholder, value(place))
    return text


@of_kind("python")
def test_python_runs(block: Block, request: pytest.FixtureRequest) -> None:
    place: Workplace = request.getfixturevalue("finished" if "runs/" in block.text else "place")
    place.execute(block, _filled(block.text, place))


# -- YAML --------------------------------------------------------------------------------------------------------


@of_kind("yaml")
def test_yaml_is_a_recipe_or_a_part_of_one(block: Block) -> None:
    content = yaml.load(block.text, recipes._Loader)
    if "name" not in content:
        content = _completed(content)
    Recipe.model_validate(content)


def _completed(part: dict[str, Any]) -> dict[str, Any]:
    """The default recipe with the part in it; another data set replaces its data set as a whole."""
    whole = recipes.load(None).model_dump(mode="json")
    for section, value in part.items():
        whole[section] = {**whole[section], **value} if section != "dataset" and isinstance(value, dict) else value
    return whole


# -- lists of files ----------------------------------------------------------------------------------------------


@of_kind("files")
def test_listed_files_exist(block: Block, finished: Workplace) -> None:
    for line in block.text.splitlines():
        for path in re.findall(r"(?:^|; )([\w./<>-]+[./][\w./<>-]*)", line):
            pattern = re.sub(r"<\w+>", "*", path).rstrip("/")
            assert [*ROOT.glob(pattern), *finished.folder.glob(pattern)], path
