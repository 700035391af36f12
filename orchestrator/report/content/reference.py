"""The fields of ``report.json`` as tables of docs/report.md, and as a JSON Schema.

python -m orchestrator.report.content.reference    # writes both into docs/
"""

from __future__ import annotations

import json
import types
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import TypeAdapter
from typing_extensions import NotRequired, get_type_hints, is_typeddict

from orchestrator.report.content.schema import PARTS, Derived, Report

COMMAND = "python -m orchestrator.report.content.reference"
PAGE, SCHEMA = Path("docs/report.md"), Path("docs/report.schema.json")
BEGIN, END = f"<!-- Made from the schema: {COMMAND} -->", "<!-- End of the part made from the schema -->"
WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "`null`"}


def page(text: str) -> str:
    """The text of docs/report.md with the tables as the schema has them."""
    before, _, rest = text.partition(BEGIN)
    parts = [f"### {heading}\n\n{_text(part)}" for heading, part in PARTS.items()]
    return "\n\n".join([f"{before}{BEGIN}", _text(Report), *parts, END]) + rest.partition(END)[2]


def schema() -> str:
    """The JSON Schema of ``report.json``."""
    return json.dumps(TypeAdapter(Report).json_schema(), indent=1) + "\n"


def _text(part: type) -> str:
    """A part in words, and the table of its fields."""
    hints = get_type_hints(part, include_extras=True)
    last = get_type_hints(Derived) if part is Report else {}
    names = [name for name in hints if name not in last] + [name for name in hints if name in last]
    rows = []
    for name in names:
        hint, optional = hints[name], typing.get_origin(hints[name]) is NotRequired
        kind, field = typing.get_args(typing.get_args(hint)[0] if optional else hint)[:2]
        rows.append(f"| `{name}` | {type_words(kind)} | {field.description} |")
    about = " ".join((part.__doc__ or "").split())
    return "\n".join([about, "", "| field | type | meaning |", "| --- | --- | --- |", *rows])


def type_words(kind: Any) -> str:
    """The type of a field in words."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return type_words(inside[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inside)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_words(item) for item in inside)
    if origin is list:
        return "list" if is_typeddict(inside[0]) else f"list of {type_words(inside[0])}"
    return "pair" if origin is tuple else WORDS.get(kind, "mapping")


def main() -> None:
    PAGE.write_text(page(PAGE.read_text()))
    SCHEMA.write_text(schema())


if __name__ == "__main__":
    main()
