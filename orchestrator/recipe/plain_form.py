"""Plain form of a recipe: the fields that reports read. It has all others of docs/recipe.md too."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

_with_others = with_config(ConfigDict(extra="allow"))


@_with_others
class DatasetFields(TypedDict):
    """The recipe's ``dataset``."""

    name: str
    root: str


@_with_others
class DifficultyFields(TypedDict):
    """The recipe's ``difficulty``."""

    scorer: str
    balanced: bool


class Bounds(TypedDict):
    """A range of the search space."""

    low: float
    high: float


Space = dict[str, list[str] | list[float] | Bounds | str]
"""A search space: alternatives, a range, or the rule that gives the alternatives, by field."""


@_with_others
class SearchFields(TypedDict):
    """The recipe's ``search``."""

    space: Space


@_with_others
class TrainingFields(TypedDict):
    """The recipe's ``training``."""

    precision: str
    keep: Literal["best", "last"]


@_with_others
class RecipeFields(TypedDict):
    """A recipe with all defaults and overrides."""

    name: str
    dataset: DatasetFields
    difficulty: DifficultyFields
    search: SearchFields
    training: TrainingFields
