"""Choices that a recipe offers and a stage's spec takes over as they are, so that a field is described in one place.

Imports neither torch nor ray.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from typing_extensions import Self

from orchestrator.recipe.messages import NameOrUserDefined

FAMILIES = ("log", "exp", "step", "root", "linear", "quadratic", "fixed_exponential")
SCORERS = ("expert_loss", "margin", "entropy", "mean_loss", "held_out_loss", "learned_step")
Family = Annotated[str, AfterValidator(NameOrUserDefined(FAMILIES))]
Scorer = Annotated[str, AfterValidator(NameOrUserDefined(SCORERS))]
Mode = Literal["static", "reveal", "promote", "both"]
Selector = Literal["stratified", "competent"]
Precision = Literal["fp32", "bf16"]
Augmentation = Literal["none", "crop", "crop_flip", "resized_crop_flip"]
Share = Annotated[float, Field(ge=0, le=1)]


class Spec(BaseModel):
    """Base of every spec: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """The spec that ``model_dump(mode="json")`` was made from."""
        return cls.model_validate(plain, strict=False)


class OptimizerSpec(Spec):
    """The optimiser and its learning-rate schedule. The learning rate is a function of the step alone."""

    name: Literal["sgd", "adamw"] = Field("sgd", description="the optimiser")
    learning_rate: float = Field(0.1, gt=0, description="the highest learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd; the first beta of adamw")
    nesterov: bool = Field(True, description="Nesterov's form of momentum (sgd with momentum above 0)")
    weight_decay: float = Field(5e-4, ge=0, description="weight decay of all parameters")
    schedule: Literal["cosine", "steps", "constant"] = Field(
        "cosine", description="how the learning rate falls after the warm-up"
    )
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the steps over which the learning rate rises from 0")
    milestones: tuple[Share, ...] = Field(
        (0.5, 0.75),
        strict=False,
        description="schedule steps only: shares of the steps at which the rate is multiplied",
    )
    decay: float = Field(0.1, gt=0, le=1, description="schedule steps only: by what the rate is multiplied")


class PacingSpec(Spec):
    """A pacing function; see ``curricula/pacing.py`` for the formulas."""

    family: Family = Field("linear", description="the formula; docs/choices.md has each")
    a: float = Field(0.5, ge=0, le=1, description="share of training after which everything is in play")
    b: float = Field(0.3, gt=0, le=1, description="fraction in play at the start")
    increase: float = Field(1.9, gt=1, description="fixed_exponential only: factor of each rise")
    step_length: float = Field(
        0.1, gt=0, le=1, description="fixed_exponential only: share of training between two rises"
    )


class Range(Spec):
    """A closed range that is searched uniformly; equal ends fix the value."""

    low: float
    high: float

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return {"low": float(value), "high": float(value)}
        if isinstance(value, (list, tuple)) and len(value) == 2:
            return {"low": value[0], "high": value[1]}
        if not isinstance(value, (dict, Range)):
            raise ValueError("give a number, or two: [low, high]")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        return self


class SpaceSpec(Spec):
    """What the search may choose: lists are alternatives, ranges are searched uniformly, one value fixes it."""

    families: tuple[Family, ...] = Field(
        FAMILIES,
        strict=False,
        min_length=1,
        description="pacing families",
    )
    a: Range = Field(Range(low=0.1, high=1.0), description="share of training after which everything is in play")
    b: Range = Field(Range(low=0.1, high=0.8), description="fraction in play at the start")
    increase: Range = Field(Range(low=1.2, high=3.0), description="fixed_exponential only: factor of each rise")
    step_length: Range = Field(
        Range(low=0.05, high=0.3), description="fixed_exponential only: share of training between two rises"
    )
    modes: tuple[Mode, ...] = Field(
        ("static", "reveal", "promote", "both"), strict=False, min_length=1, description="curriculum modes"
    )
    selectors: tuple[Selector, ...] = Field(
        ("stratified", "competent"), strict=False, min_length=1, description="expert selectors"
    )
    temperature: Range = Field(Range(low=2.0, high=8.0), description="temperature of distillation")
    kd_weight: Range = Field(Range(low=0.05, high=1.0), description="weight (lambda) of distillation in the loss")

    @field_validator("a", "b", "increase", "step_length", "temperature", "kd_weight")
    @classmethod
    def _possible(cls, found: Range, field: ValidationInfo) -> Range:
        # The bounds of the fields that a point of the space is put into; a trial must not be the first to meet them.
        name = str(field.field_name)
        above = {"increase": 1.0}.get(name, 0.0)
        most = {"increase": math.inf, "temperature": math.inf}.get(name, 1.0)
        reached = name in ("a", "kd_weight")  # these may be 0
        if found.high > most or found.low < above or (found.low == above and not reached):
            lower = f"{'at least' if reached else 'above'} {above:g}"
            upper = "" if most == math.inf else f" and at most {most:g}"
            raise ValueError(f"found [{found.low:g}, {found.high:g}]; every value must be {lower}{upper}")
        return found
