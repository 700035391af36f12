"""Section ``hypothesis`` of a recipe: the students that measure CES-KD's hypothesis. Imports neither torch nor ray."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, model_validator

from orchestrator.recipe.methods import BASELINE, TEACHER_ALONE, cell_method, method_of, methods_of_experts
from orchestrator.recipe.section import Section

STRATA_FOLDS = 3  # held-out networks for the strata of the test images, where the recipe has no folds


class HypothesisRecipe(Section):
    """Measurement of CES-KD's hypothesis: easy images gain more from a small expert. `true` is `matrix: true`."""

    matrix: bool = Field(
        False,
        description="adds the methods labels and kd:<expert> for every expert, and measures all students on each "
        "stratum of the test images (docs/hypothesis.md)",
    )
    cells: bool = Field(
        False,
        description="adds the method kd, and students of which a TA teaches one stratum of the training images and the "
        "teacher all others: strata x TAs x seeds students",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: Any) -> Any:
        return {"matrix": value} if isinstance(value, bool) else value

    def with_students(self, methods: Sequence[str], experts: Sequence[str]) -> tuple[str, ...]:
        """Returns the recipe's methods with those that are needed besides; ``experts`` has the teacher first.

        Raises:
            ValueError: when the ladder has no two experts to compare.
        """
        for cell in (method for name in methods if (method := method_of(name)).stratum is not None):
            assert cell.stratum is not None
            if cell.stratum >= len(experts) or cell.expert == experts[0]:
                raise ValueError(
                    f"{cell.name} is no cell: strata are 1 to {len(experts)}, and the expert is a TA; set "
                    "hypothesis.cells for all of them"
                )
        if not self.matrix and not self.cells:
            return tuple(methods)
        if len(experts) < 2:
            raise ValueError(
                "hypothesis is to be measured, but the ladder has one expert; put a TA between teacher and student, or "
                "leave hypothesis out"
            )
        needed = [BASELINE, *methods_of_experts(experts)] if self.matrix else []
        if self.cells:
            smallest_first = [*reversed(experts[1:])]
            needed += [TEACHER_ALONE]
            needed += [cell_method(stratum, name) for stratum in range(len(experts)) for name in smallest_first]
        return tuple(dict.fromkeys([*methods, *needed]))
