"""Randomly changed recipes: each is planned, or refused with a message."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from orchestrator.datasets import DatasetError, describe
from orchestrator.pipeline.plan import plan
from orchestrator.recipe.loading import RECIPES, load
from orchestrator.recipe.reference import fields
from orchestrator.recipe.schema import RecipeError
from tests.examples import TINY

TEXTS = [path.read_text() for path in [Path(TINY), *sorted(RECIPES.glob("*.yaml"))]]
FIELDS = [field.name for field in fields() if "[]" not in field.name]
WORDS = sorted({word for field in fields() for word in field.type.split(" | ")})
SNIPPETS = [
    b"\t",
    b"\n",
    b": ",
    b"- ",
    b"{",
    b"[",
    b"]",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!int ",
    b"!x ",
    b"|",
    b"---\n",
    b"'",
]
SNIPPETS += [b"\x00", b"\xff", b"? ", b'"\\UFFFFFFFF"', b'"\\ud800"', b"[" * 999, b"9" * 5000, b"010", b"1:30", b"no"]

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-2, 300), st.floats(), st.text(max_size=9),
    st.sampled_from([*WORDS, "", "~", "s3:/a", "a:b", "plain_cnn_4", "wrn_16_1", "a" * 300, "..", "2024-01-01"]),
)  # fmt: skip
values = st.one_of(
    scalars, st.lists(scalars, max_size=4), st.dictionaries(st.sampled_from(["name", "steps", "low", ""]), scalars)
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all that a recipe holds, sections and lists included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


def _has(holder: Any, key: Any) -> bool:
    """Returns whether ``holder`` is a mapping with the key or a list with that place: earlier changes make both."""
    if isinstance(holder, list):
        return isinstance(key, int) and key < len(holder)
    return isinstance(holder, dict) and key in holder


@st.composite
def changed_values(draw: st.DrawFn) -> bytes:
    """A recipe with values that are replaced, removed, repeated or added."""
    content = yaml.safe_load(draw(st.sampled_from(TEXTS)))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from([*places(content), *(tuple(field.split(".")) for field in FIELDS)]))
        holder = content
        for key in path:
            known = _has(holder, key)
            holder = holder[key] if known else holder.setdefault(key, {}) if isinstance(holder, dict) else None
        match draw(st.sampled_from(["set", "set", "remove", "repeat", "add"])):
            case "set" if isinstance(holder, dict) or _has(holder, last):
                holder[last] = draw(values)
            case "remove" if isinstance(holder, dict):
                holder.pop(last, None)
            case "repeat" if isinstance(holder, list) and _has(holder, last):
                holder.append(copy.deepcopy(holder[last]))
            case "add" if isinstance(holder, dict):
                holder[draw(st.text(max_size=5))] = draw(values)
    return bytes(yaml.safe_dump(content, allow_unicode=True).encode("utf-8", "surrogatepass"))


@st.composite
def changed_text(draw: st.DrawFn) -> bytes:
    """A recipe with pieces of text that are removed, inserted, repeated or cut off."""
    text = draw(st.sampled_from(TEXTS)).encode()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        piece = draw(st.one_of(st.sampled_from([*SNIPPETS, b"", text[start:end] * 2]), st.binary(max_size=3)))
        text = text[:start] + piece + text[end:]
    return text


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes") / "changed.yaml"


@settings(max_examples=100, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(content=st.one_of(changed_values(), changed_text()))
def test_a_changed_recipe_is_planned_or_refused_in_words(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    try:
        recipe = load(str(file))
        plan(recipe, describe(recipe.dataset))
    except (RecipeError, DatasetError) as error:
        message = str(error)
        assert message.encode() and "Traceback" not in message


@settings(max_examples=100, phases=[Phase.generate])
@given(
    field=st.sampled_from([*FIELDS, "ladder.networks[0].steps", "seeds[1]", "x[", "ladder[0]"]),
    text=st.text(max_size=9),
)
def test_any_override_is_taken_or_refused_in_words(field: str, text: str) -> None:
    try:
        load(TINY, [f"{field}={text}"])
    except RecipeError as error:
        assert str(error).encode()
