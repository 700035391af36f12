"""Base of the sections of a recipe, and what several of them share. Imports neither torch nor ray."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Section(BaseModel):
    """A section: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def twice(values: Sequence[Any]) -> str:
    """Returns the values that are there more than once, in words; empty without any."""
    return ", ".join(sorted({str(value) for value in values if values.count(value) > 1}))


def check_once(values: Sequence[Any]) -> None:
    """Refuse a list that has a value twice.

    Raises:
        ValueError: naming the value.
    """
    if again := twice(values):
        raise ValueError(f"{again} is in {list(values)} twice; leave one out")
