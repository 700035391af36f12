"""Loader of recipes from files and pipes, with overrides from the command line. Imports neither torch nor ray."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.locations import PathError, local_path
from orchestrator.recipe import yaml_reading
from orchestrator.recipe.messages import explain, nearest
from orchestrator.recipe.schema import Recipe, RecipeError
from orchestrator.recipe.yaml_reading import Document, YamlError, dotted

RECIPES = Path(__file__).parents[1] / "recipes"
DEFAULT_RECIPE = "mnist5k"
OPTIONS = ("address", "dry_run", "quiet", "storage", "verbose")  # options of the command, easily mistaken for fields
ENDINGS = (".yaml", ".yml")

_FIELD = r"[^.\[\]]+(\[[0-9]+\])*"
_FIELDS = re.compile(rf"{_FIELD}(\.{_FIELD})*")
_NETWORKS = ("ladder", "networks")  # the list whose sections may be bare names


def load(source: str | None, overrides: Sequence[str] = ()) -> Recipe:
    """Returns a recipe by name (one of ``recipes/``) or path, with ``field=value`` overrides.

    Raises:
        RecipeError: naming the file or the field.
    """
    source = DEFAULT_RECIPE if source is None else source
    document = _read(source)
    for override in overrides:
        _override(document, override)
    try:
        return Recipe.model_validate(document.content)
    except ValidationError as error:
        raise RecipeError(explain(error.errors(), Recipe, document.places)) from None


def find(source: str) -> Path:
    """Returns the recipe's file or pipe.

    Raises:
        RecipeError: with the nearest name, where there is no such recipe.
    """
    known = names()
    if source in known:
        return RECIPES / f"{source}.yaml"
    try:
        path = Path(local_path(source))
    except PathError as error:
        raise RecipeError(f"recipe: {error}") from None
    if path.is_dir():
        raise RecipeError(f"recipe {source} is a folder; give the file in it")
    if path.exists():
        return path
    if source.endswith(ENDINGS) or "/" in source:
        raise RecipeError(f"recipe file {source} does not exist")
    raise RecipeError(
        f"recipe '{source}' is not known{nearest(source, known)}; known: {', '.join(known)}; or give a path"
    )


def names() -> list[str]:
    """Returns the names of the recipes that come with the program."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def split(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Returns the recipe's name or path, if one is given, and the overrides, from the words of a command line.

    A word with ``=`` is a path if such a file exists, or if it ends like a recipe and does not begin with a field.

    Raises:
        RecipeError: when two recipes are given.
    """
    sources = [word for word in words if _is_source(word)]
    if len(sources) > 1:
        raise RecipeError(f"two recipes are given: {', '.join(sources)}; give one, and overrides as field=value")
    return (sources[0] if sources else None), [word for word in words if word not in sources]


def _is_source(word: str) -> bool:
    before, equals, _ = word.partition("=")
    if not equals:
        return True
    try:
        path = Path(local_path(word))
        if path.exists() and not path.is_dir():
            return True
    except (PathError, OSError):
        return False
    return word.endswith(ENDINGS) and re.split(r"[.\[]", before)[0] not in Recipe.model_fields


def _read(source: str) -> Document:
    path = find(source)
    try:
        with open(path, "rb") as stream:  # once: a pipe can't be read again
            document = yaml_reading.read(stream.read(yaml_reading.LARGEST + 1))
    except OSError as error:
        raise RecipeError(f"recipe {source} can't be read: {error.strerror}") from error
    except YamlError as error:
        raise RecipeError(f"recipe {source}: {error}") from error
    if not isinstance(document.content, dict):
        found = "nothing" if document.content is None else f"a {type(document.content).__name__}"
        raise RecipeError(f"recipe {source} holds {found}, not a mapping of fields")
    return document


def _override(document: Document, override: str) -> None:
    field, equals, text = override.partition("=")
    if not equals or not _FIELDS.fullmatch(field):
        raise RecipeError(
            f"'{override}' is neither a recipe nor field=value; a nested field is section.field, and the first entry "
            "of a list is list[0]"
        )
    if field in OPTIONS:
        raise RecipeError(f"{field}: is an option, not a field of the recipe; write --{field.replace('_', '-')}")
    keys = tuple(int(number) if number else name for number, name in re.findall(r"\[([0-9]+)\]|([^.\[\]]+)", field))
    try:
        value = yaml_reading.read(text, keys)
    except YamlError as error:
        raise RecipeError(str(error)) from error
    _set(document.content, keys, value.content)
    document.places = (
        {  # places of the value's parents and former children are outdated
            path: place for path, place in document.places.items() if path[: len(keys)] != keys[: len(path)]
        }
        | value.places
    )


def _set(content: Any, keys: tuple[str | int, ...], value: Any) -> None:
    """Set the value at ``keys``; missing sections on the way are created, list entries are not."""
    holder = content
    for depth, key in enumerate(keys[:-1]):
        _check_key(holder, keys, depth)
        inner = holder.get(key) if isinstance(holder, dict) else holder[key]
        if inner is None and isinstance(keys[depth + 1], str):
            inner = {}
        elif isinstance(inner, str) and keys[:depth] == _NETWORKS:
            inner = {"name": inner}
        holder[key] = inner
        holder = inner
    _check_key(holder, keys, len(keys) - 1)
    holder[keys[-1]] = value


def _check_key(holder: Any, keys: tuple[str | int, ...], depth: int) -> None:
    """Raises RecipeError unless ``holder`` can have the key ``keys[depth]``; the message names fields that it can."""
    key, field, place = keys[depth], dotted(keys), dotted(keys[:depth])
    if isinstance(holder, dict) and isinstance(key, str):
        return
    if isinstance(holder, list):
        if isinstance(key, int) and key < len(holder):
            return
        if isinstance(key, str):
            raise RecipeError(
                f"{field}: '{place}' is a list, which has no fields; set '{place}' as a whole, or {place}[0]"
            )
        entries = f"{place}[0]" if len(holder) == 1 else f"{place}[0] to {place}[{len(holder) - 1}]"
        there = f"has the entries {entries}" if holder else "is empty"
        raise RecipeError(f"{field}: the list {place} {there}; set one of these, or {place} as a whole: {place}=[...]")
    if holder is None:
        raise RecipeError(f"{field}: {place} is not set; set it as a whole: {place}=[...]")
    if isinstance(key, int):
        raise RecipeError(f"{field}: {place} is not a list, so it has no entry [{key}]; leave that out")
    raise RecipeError(
        f"{field}: '{place}' holds {holder!r}, which has no fields; set '{place}' as a whole: {place}=..."
    )
