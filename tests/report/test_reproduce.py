"""The command and the recipe by which a report reproduces its run."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from orchestrator.recipe import loading as recipes
from orchestrator.report.content.reproduce import as_yaml, command
from tests.examples import tiny


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("training.steps=7", "seeds=[0, 4]"),
        ("training.optimizer.learning_rate=0.003", "search.space.modes=[static, both]"),
        ("ladder.networks=[plain_cnn_6, {name: plain_cnn_4, steps: 9}, plain_cnn_2]", "search.steps=null"),
    ],
)
def test_the_command_makes_the_same_recipe(overrides: tuple[str, ...]) -> None:
    resolved = recipes.load("mnist5k", overrides).model_dump(mode="json")
    said = command(resolved)
    assert said is not None and said.startswith("python -m orchestrator.run mnist5k")
    name, *changes = shlex.split(said)[3:]
    assert recipes.load(name, changes).model_dump(mode="json") == resolved


def test_only_fields_that_differ_are_named() -> None:
    assert command(recipes.load("mnist5k").model_dump(mode="json")) == "python -m orchestrator.run mnist5k"
    resolved = recipes.load("mnist5k", ["training.steps=7"]).model_dump(mode="json")
    assert command(resolved) == "python -m orchestrator.run mnist5k training.steps=7"


def test_a_user_s_recipe_is_printed_whole_instead_of_a_command(tmp_path: Path) -> None:
    resolved = tiny("training.steps=7").model_dump(mode="json")
    assert command(resolved) is None
    (tmp_path / "recipe.yaml").write_text(as_yaml(resolved))
    assert recipes.load(str(tmp_path / "recipe.yaml")).model_dump(mode="json") == resolved


def test_networks_of_another_ladder_are_given_by_what_is_set() -> None:
    ladder = "ladder.networks=[{name: plain_cnn_4, steps: 9}, plain_cnn_2]"
    said = command(recipes.load("mnist5k", [ladder]).model_dump(mode="json"))
    assert said == f"python -m orchestrator.run mnist5k '{ladder}'"
