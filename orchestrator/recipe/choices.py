"""Choices of a recipe that a stage's spec takes over unchanged, so that a field is described in one place.

Imports neither torch nor ray.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from typing_extensions import Self

from curricula import difficulty, pacing
from orchestrator.recipe.messages import NameOrUserDefined

FAMILIES = tuple(pacing.FAMILIES)
SCORERS = tuple(difficulty.DIFFICULTIES)
Family = Annotated[str, AfterValidator(NameOrUserDefined(FAMILIES))]
Scorer = Annotated[str, AfterValidator(NameOrUserDefined(SCORERS))]
Mode = Literal["static", "reveal", "promote", "both"]
Selector = Literal["stratified", "competent", "ready", "table"]
Precision = Literal["fp32", "bf16"]
Augmentation = Literal["none", "crop", "crop_flip", "resized_crop_flip"]
Share = Annotated[float, Field(ge=0, le=1)]

MODE_WORDS: dict[Mode, str] = {
    "static": "every image is in play and every expert teaches from the first step",
    "reveal": "the easiest images come first, harder ones as the fraction rises",
    "promote": "every image is in play; the smallest expert teaches first, larger ones as the fraction rises",
    "both": "easy images and small experts come first, hard images and large experts as the fraction rises",
}
SELECTOR_WORDS: dict[Selector, str] = {
    "stratified": "each stratum of difficulty has its own expert",
    "competent": "each image has the smallest expert that is right and sure enough",
    "ready": "each image has the smallest expert that is right and surer than the student was when it last saw it",
    "table": "each stratum of difficulty has the expert that a table names",
}


class Spec(BaseModel):
    """Base of every spec: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Returns the spec whose ``model_dump(mode="json")`` is ``plain``."""
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


class NormalisationSpec(Spec):
    """Normalisation of pixels in [0, 1]: less the mean, divided by the standard deviation."""

    mean: tuple[float, ...] = Field(strict=False, min_length=1, description="of each channel")
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field(strict=False, min_length=1, description="of each channel")

    @model_validator(mode="after")
    def _of_the_same_channels(self) -> Self:
        if len(self.mean) != len(self.std):
            raise ValueError(f"has {len(self.mean)} means and {len(self.std)} standard deviations; give one a channel")
        return self


class PacingSpec(Spec):
    """A pacing function; see ``curricula/pacing.py`` for the formulas."""

    family: Family = Field("linear", description="the formula; docs/choices.md has each")
    a: float = Field(0.5, ge=0, le=1, description="share of training after which everything is in play")
    b: float = Field(0.3, gt=0, le=1, description="fraction in play at the start")
    increase: float = Field(1.9, gt=1, description="fixed_exponential only: factor of each rise")
    step_length: float = Field(
        0.1, gt=0, le=1, description="fixed_exponential only: share of training between two rises"
    )
