"""Error messages for recipes, and descriptions of their types. Depends on the schema only through pydantic."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel
from pydantic_core import ErrorDetails

from orchestrator.recipe.yaml_reading import Path, Place, dotted
from orchestrator.user_code import PATH

LONGEST = 80  # characters of a wrong value that are shown
MOST_LINES = 20  # errors that are shown at once

# The valid values by pydantic's error type; pydantic's messages name tuples and instances, which YAML has not.
_GIVE = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list, such as [one, two]",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "literal_error": "one of {expected}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "string_pattern_mismatch": "letters, digits, '_', '.' and '-', beginning with a letter or digit",
    "string_too_long": "text of at most {max_length} characters",
}


@dataclass(frozen=True)
class NameOrForm:
    """Validator of a text: one of ``names``, or a text of another form.

    ``shown`` is the form in the reference of fields, ``meaning`` in the message.
    """

    names: tuple[str, ...]
    form: re.Pattern[str]
    shown: str
    meaning: str

    def __call__(self, found: str) -> str:
        if found not in self.names and not self.form.fullmatch(found):
            raise ValueError(
                f"found {found!r}; give one of {', '.join(self.names)}, or {self.meaning}{nearest(found, self.names)}"
            )
        return found


@dataclass(frozen=True)
class NameOrUserDefined(NameOrForm):
    """Validator of a text: one of ``names``, or a user-defined ``module:callable``."""

    form: re.Pattern[str] = PATH
    shown: str = "module:callable"
    meaning: str = "a user-defined module:callable"


def explain(errors: Sequence[ErrorDetails], schema: type[BaseModel], places: Mapping[Path, Place] | None = None) -> str:
    """Returns a message of pydantic's errors, one a line: field, value found, valid values.

    Args:
        errors: the errors.
        schema: the model that was validated.
        places: positions of values in the file, by path; other fields are named without a line.
    """
    wrong = [error["loc"] for error in errors]
    lines = []
    for error in errors:
        place = error["loc"]
        inside = any(other[: len(place)] == place for other in wrong if len(other) > len(place))
        if error["type"] == "too_short" and inside:
            continue  # pydantic does not count a list's invalid items
        lines.append(_explain(error, schema, places.get(place) if places else None))
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"and {len(lines) - MOST_LINES} more"]
    return "\n".join(lines)


def _explain(error: ErrorDetails, schema: type[BaseModel], place: Place | None) -> str:
    field = dotted(error["loc"])
    if place and place.line and field:
        field += f" (line {place.line})"
    kind, found = error["type"], error.get("input")
    shown = place.text if place and place.text and not isinstance(found, str) else _shown(found)
    if kind == "value_error":
        message = error["msg"].removeprefix("Value error, ")
        return f"{field}: {message}" if field else message  # checks of the whole recipe name the fields themselves
    if kind == "missing":
        return f"{field}: required, but not set"
    if kind == "extra_forbidden":
        known = list(_model_at(error["loc"][:-1], schema).model_fields)
        name = str(error["loc"][-1])
        return (
            f"{field}: unknown field{_elsewhere(name, schema) or nearest(name, known)}; known here: {', '.join(known)}"
        )
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        known = list(_model_at(error["loc"], schema).model_fields)
        return f"{field}: found {shown}; give a mapping with any of the fields {', '.join(known)}"
    if kind not in _GIVE:
        return f"{field}: found {shown}; {error['msg'][0].lower()}{error['msg'][1:]}"
    context = error.get("ctx", {})
    line = f"{field}: found {shown}; give {_GIVE[kind].format(**context)}"
    if kind == "string_type" and isinstance(found, (bool, int, float)):
        line += f": put it in quotes, '{shown}'"
    if kind == "literal_error" and isinstance(found, str):
        line += nearest(found, [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")])
    return line


def nearest(word: str, known: Sequence[str]) -> str:
    """Returns ``; did you mean '...'?`` with the most similar known word; empty without one."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def model_of(annotation: Any) -> type[BaseModel] | None:
    """Returns the section of a field that is a section or a list of sections; else None."""
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def type_words(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """Returns a description of a field's type; ``metadata`` is what pydantic removed from the annotation."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    for item in metadata:
        if isinstance(item, AfterValidator) and isinstance(item.func, NameOrForm):
            return " | ".join((*item.func.names, item.func.shown))
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin is Annotated:
        return type_words(arguments[0], arguments[1:])
    if origin is tuple:
        return f"list of {type_words(arguments[0])}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join("nothing" if item is type(None) else type_words(item) for item in arguments)
    words = {
        "int": "whole number",
        "float": "number",
        "str": "text",
        "bool": "true or false",
        "Range": "number or [low, high]",
        "Workers": "whole number or [fewest, most]",
    }
    return words.get(getattr(annotation, "__name__", ""), str(annotation))


def plain(value: Any) -> str:
    """Returns a default as YAML."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple):
        value = list(value)
    return yaml.safe_dump(value, default_flow_style=True, width=1000).replace("...", "").strip()


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def _elsewhere(name: str, schema: type[BaseModel]) -> str:
    """Returns ``; did you mean ...?`` with the fields of that name in other sections; empty without any."""

    def visit(model: type[BaseModel], before: str) -> Iterator[str]:
        for field, info in model.model_fields.items():
            if field == name:
                yield f"{before}{field}"
            inner = model_of(info.annotation)
            if inner is not None:
                many = "[0]" if typing.get_origin(info.annotation) is tuple else ""
                yield from visit(inner, f"{before}{field}{many}.")

    found = list(visit(schema, ""))
    return f"; did you mean {' or '.join(found)}?" if found else ""


def _model_at(place: Iterable[int | str], schema: type[BaseModel]) -> type[BaseModel]:
    for part in place:
        if isinstance(part, str) and part in schema.model_fields:
            schema = model_of(schema.model_fields[part].annotation) or schema
    return schema
