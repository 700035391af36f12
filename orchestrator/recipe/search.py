"""Section ``search`` of a recipe. Imports neither torch nor ray."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from orchestrator.locations import folder_name
from orchestrator.recipe.early_stopping import SCHEDULERS, SchedulerName
from orchestrator.recipe.methods import Method, MethodName, method_of
from orchestrator.recipe.search_space import SETTINGS, SpaceSpec
from orchestrator.recipe.section import Section, check_once

_WITHOUT_EXPERTS = [field for field, setting in SETTINGS.items() if setting.place == "optimizer"]
_WITHOUT_CURRICULUM = [field for field, setting in SETTINGS.items() if setting.place == "guidance"] + _WITHOUT_EXPERTS


class Search(Section):
    """The pacing search, and with the same number of trials the searches of the methods it is compared with."""

    trials: int = Field(16, ge=0, description="points that each search tries; 0: none, use curriculum and distillation")
    methods: tuple[MethodName, ...] | None = Field(
        None,
        strict=False,
        description="methods that get a search each, with the same trials; by default all of the recipe's that have "
        f"something to choose. With a curriculum: all of the space; without: {', '.join(_WITHOUT_CURRICULUM)}; "
        f"without experts: {', '.join(_WITHOUT_EXPERTS)}",
    )
    space: SpaceSpec = Field(SpaceSpec(), description="what may be chosen")
    steps: int | None = Field(None, gt=0, description="steps of a trial, instead of the student's own")
    seed: int = Field(1000, ge=0, lt=2**32, description="seed of the trials' student and of the sampler")
    sampler: Literal["tpe", "random"] = Field(
        "tpe", description="Optuna's sampler: tpe learns from trials, random does not"
    )
    round_size: int = Field(
        4, gt=0, description="points proposed at once; the sampler learns from whole rounds, so that the search repeats"
    )
    scheduler: SchedulerName = Field(
        "none",
        description="early stopping" + "".join(f"; {it.name}: {it.words}" for it in SCHEDULERS.values() if it.words),
    )
    rungs: tuple[float, ...] = Field(
        (0.25,),
        strict=False,
        min_length=1,
        description="halving: shares of a trial's steps at which points are compared, rising; "
        "each rung takes as many steps as the first",
    )
    warm_start: tuple[Annotated[str, AfterValidator(folder_name)], ...] = Field(
        (),
        strict=False,
        description="folders of earlier searches (search-...) over the same artifacts, for the sampler to learn from",
    )

    @field_validator("methods")
    @classmethod
    def _no_controls(cls, methods: tuple[MethodName, ...] | None) -> tuple[MethodName, ...] | None:
        bad = [name for name in methods or () if method_of(name).control_of]
        if bad:
            raise ValueError(f"{', '.join(bad)} has nothing to search; controls take what their method's search found")
        return methods

    @field_validator("methods")
    @classmethod
    def _once(cls, methods: tuple[MethodName, ...] | None) -> tuple[MethodName, ...] | None:
        check_once(methods or ())
        return methods

    @field_validator("rungs")
    @classmethod
    def _rising(cls, rungs: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in zip((0.0, *rungs), (*rungs, 1.0), strict=True)):
            raise ValueError(f"found {list(rungs)}; give shares above 0 and below 1, each larger than the one before")
        return rungs

    def has_choices(self, method: Method) -> bool:
        """Returns whether the space has a setting of a method's students."""
        return bool(self.space.searched(method.places))

    @model_validator(mode="after")
    def _searchable(self) -> Search:
        bare = [name for name in self.methods or () if not self.has_choices(method_of(name))]
        if bare:
            fields = " or ".join(f"search.space.{field}" for field in _WITHOUT_EXPERTS)
            raise ValueError(f"methods has {', '.join(bare)}, with nothing to search; set {fields}, or leave it out")
        return self
