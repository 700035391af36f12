"""Reproduction of a run: the command, where one can be known, and the resolved recipe."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

import yaml

from orchestrator.recipe import loading as recipes
from orchestrator.recipe.messages import plain


def command(resolved: Mapping[str, object]) -> str | None:
    """The command that makes this recipe out of one that comes with the program; None where none of them has its name.

    A user's recipe may have been any file, so its content is included instead (``as_yaml``).
    """
    name = resolved["name"]
    if name not in recipes.names():
        return None
    base = recipes.load(name).model_dump(mode="json")
    changes = list(_changes(resolved, base))
    try:
        same = recipes.load(name, changes).model_dump(mode="json") == resolved
    except recipes.RecipeError:
        same = False
    return shlex.join(["python", "-m", "orchestrator.run", name, *changes]) if same else None


def _changes(resolved: Mapping[str, object], base: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """``field=value`` for every field that differs; a list stands whole."""
    for key, value in resolved.items():
        before = base.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            yield from _changes(value, before, f"{prefix}{key}.")
        elif value != before:
            yield f"{prefix}{key}={plain(_without_unset(value))}"


def _without_unset(value: object) -> object:
    """Returns a field's value without what is not set in the entries of a list; one with a name alone is that name."""
    if not isinstance(value, list):
        return value
    entries = [
        {field: each for field, each in entry.items() if each is not None} if isinstance(entry, dict) else entry
        for entry in value
    ]
    return [entry["name"] if isinstance(entry, dict) and entry.keys() == {"name"} else entry for entry in entries]


def as_yaml(resolved: Mapping[str, object]) -> str:
    """The whole recipe as a file that the program reads."""
    return str(yaml.safe_dump(resolved, sort_keys=False, default_flow_style=None, width=100))
