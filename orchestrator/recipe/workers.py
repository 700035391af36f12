"""Number of workers that train a network together. Imports neither torch nor ray."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_serializer, model_validator

from orchestrator.recipe.section import Section


class Workers(Section):
    """A number of workers, or two limits of it: an elastic training has as many between them as find room."""

    fewest: int = Field(gt=0)
    most: int = Field(gt=0)

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, found: Any) -> Any:
        if isinstance(found, (dict, Workers)):
            return found
        limits = list(found) if isinstance(found, (list, tuple)) else [found, found]
        if len(limits) != 2 or not all(type(limit) is int and limit > 0 for limit in limits) or limits[0] > limits[1]:
            raise ValueError(
                f"found {str(found)[:80]}; give a number of workers, or the fewest and the most of them, such as [2, 8]"
            )
        return {"fewest": limits[0], "most": limits[1]}

    @model_serializer
    def _short_form(self) -> int | list[int]:
        return [self.fewest, self.most] if self.is_elastic else self.most

    @property
    def is_elastic(self) -> bool:
        """Whether the number may change while the network trains."""
        return self.fewest < self.most

    def __str__(self) -> str:
        return f"[{self.fewest}, {self.most}]" if self.is_elastic else str(self.most)


ONE = Workers(fewest=1, most=1)
