"""The search space, one row for each field that a search may choose. Imports neither torch nor ray.

A row is a field of ``SpaceSpec`` with its ``Setting``: the default range or alternatives, bounds, the condition under
which it is asked, its place in a training's spec, its column in dashboards. Schema, sampler, specs, dashboards and
report read the table, so a new field is a row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, Literal, get_args

from annotated_types import Interval
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from orchestrator.recipe.choices import FAMILIES, Family, Mode, Selector, Spec
from orchestrator.recipe.losses import LossName
from orchestrator.recipe.section import check_once

Value = str | float
Choice = Mapping[str, Any]  # a point of the space, or the part of it that is chosen so far: values by setting
# Part of a training's spec that holds a setting. Settings are asked in this order, for pacing depends on the mode.
Place = Literal["guidance", "early", "curriculum", "curriculum.pacing", "optimizer"]


def _always(choice: Choice) -> bool:
    return True


def _paced(choice: Choice) -> bool:
    """Pacing has an effect in every mode but ``static``, where everything is in play from the start."""
    return bool(choice["mode"] != "static")


def _stepwise(choice: Choice) -> bool:
    return _paced(choice) and bool(choice["family"] == "fixed_exponential")


def _unchanged(value: Any) -> Any:
    return value


def _as_given(found: Any, experts: Sequence[str]) -> Range | tuple[str, ...]:
    """Returns the range or the alternatives of a recipe's field, which most settings have as they are."""
    among: Range | tuple[str, ...] = found
    return among


def joined(experts: Sequence[str]) -> str:
    """Returns a subset of the experts as one value of a point: their names, smallest first, with ``+`` between."""
    return "+".join(experts)


def _split(value: Value) -> tuple[str, ...]:
    return tuple(str(value).split("+"))


def _subsets(found: str, experts: Sequence[str]) -> tuple[str, ...]:
    """Returns all subsets of the experts but the empty one, the smallest subsets first."""
    sizes = range(1, len(experts) + 1)
    return tuple(joined(subset) for size in sizes for subset in combinations(experts, size))


def _tabulated(choice: Choice) -> bool:
    return bool(choice["selector"] == "table")


@dataclass(frozen=True)
class Setting:
    """One value of a point of the search space.

    Attributes:
        name: its name in trials, reports and dashboards, and of its field in ``place``.
        place: the part of a training's spec that holds it; it is asked only where the training has this part.
        bounds: limits of a number; None for a setting that is a word.
        when: whether it is asked, by the settings before it.
        absent: value in dashboards where it is not asked; None for no value.
        meaning: one line of words for dashboards; by default the description of the recipe's field.
        in_effect: attribute of the part that has the value in effect, where that may be unset; by default its name.
        log: whether a range is searched uniformly in the logarithm of the value, since factors matter, not differences.
        among: the range or alternatives by the recipe's field and the experts that teach (smallest first).
        written: the value in a point of a value in ``place``.
        read: the value in ``place`` of a value in a point.
        by_stratum: whether each stratum has a value of its own, an expert's name: ``name[0]`` for the easiest, and so
            on.
    """

    name: str
    place: Place
    bounds: Interval | None = None
    when: Callable[[Choice], bool] = _always
    absent: Value | None = None
    meaning: str = ""
    in_effect: str = ""
    log: bool = False
    among: Callable[[Any, Sequence[str]], Range | tuple[str, ...]] = _as_given
    written: Callable[[Any], Value] = _unchanged
    read: Callable[[Value], Any] = _unchanged
    by_stratum: bool = False

    def names(self, strata: int) -> list[str]:
        """Returns the names of its values in a point, for so many strata."""
        return [f"{self.name}[{stratum}]" for stratum in range(strata)] if self.by_stratum else [self.name]

    @property
    def is_number(self) -> bool:
        return self.bounds is not None

    def rounded(self, value: float) -> float:
        """Returns a proposed number with four digits: a point can be typed in again as it is printed."""
        return float(f"{value:.4g}") if self.log else round(value, 4)

    def reach(self, low: float, high: float) -> tuple[float, float]:
        """Returns the ends of what a search over a range may propose: a rounded number may lie beyond an end."""
        return (low, high) if low == high else (min(low, self.rounded(low)), max(high, self.rounded(high)))


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
    """Search space: lists are alternatives, ranges are searched uniformly, one value fixes a field.

    A field that is None is not searched: the recipe's own value counts. It is left out of the plain form. A table that
    is None has any expert for each stratum (``with_table``).
    """

    families: Annotated[
        tuple[Family, ...], Setting("family", "curriculum.pacing", None, _paced, "none", "pacing family")
    ] = Field(FAMILIES, strict=False, min_length=1, description="pacing families")
    a: Annotated[Range, Setting("a", "curriculum.pacing", Interval(ge=0, le=1), _paced, absent=0.0)] = Field(
        Range(low=0.1, high=1.0), description="share of training after which everything is in play"
    )
    b: Annotated[Range, Setting("b", "curriculum.pacing", Interval(gt=0, le=1), _paced, absent=1.0)] = Field(
        Range(low=0.1, high=0.8), description="fraction in play at the start"
    )
    increase: Annotated[Range, Setting("increase", "curriculum.pacing", Interval(gt=1), _stepwise)] = Field(
        Range(low=1.2, high=3.0), description="fixed_exponential only: factor of each rise"
    )
    step_length: Annotated[Range, Setting("step_length", "curriculum.pacing", Interval(gt=0, le=1), _stepwise)] = Field(
        Range(low=0.05, high=0.3), description="fixed_exponential only: share of training between two rises"
    )
    modes: Annotated[tuple[Mode, ...], Setting("mode", "curriculum", absent="none", meaning="curriculum mode")] = Field(
        ("static", "reveal", "promote", "both"), strict=False, min_length=1, description="curriculum modes"
    )
    selectors: Annotated[
        tuple[Selector, ...], Setting("selector", "curriculum", absent="none", meaning="expert selector")
    ] = Field(("stratified", "competent"), strict=False, min_length=1, description="expert selectors")
    table: Annotated[
        tuple[str, ...] | None,
        Setting("table", "curriculum", None, _tabulated, "none", "expert of each stratum", by_stratum=True),
    ] = Field(
        None, strict=False, min_length=1, description="selector table only: experts for each stratum; by default all"
    )
    losses: Annotated[
        tuple[LossName, ...] | None, Setting("loss", "guidance", absent="none", meaning="distillation loss")
    ] = Field(
        None, strict=False, min_length=1, description="distillation losses; by default distillation.loss, not searched"
    )
    temperature: Annotated[Range, Setting("temperature", "guidance", Interval(gt=0))] = Field(
        Range(low=2.0, high=8.0), description="temperature of distillation"
    )
    kd_weight: Annotated[Range, Setting("kd_weight", "guidance", Interval(ge=0), absent=0.0)] = Field(
        Range(low=0.05, high=1.0), description="weight (lambda) of distillation in the loss"
    )
    ce_weight: Annotated[
        Range | None,
        Setting(
            "ce_weight", "guidance", Interval(ge=0), absent=1.0, meaning="weight of the labels' cross-entropy",
            in_effect="labels_weight",
        ),
    ] = Field(
        None,
        description="weight of the labels' cross-entropy in the loss; by default distillation.ce_weight, not searched",
    )  # fmt: skip
    learning_rate: Annotated[
        Range | None, Setting("learning_rate", "optimizer", Interval(gt=0), meaning="highest learning rate", log=True)
    ] = Field(
        None,
        description="the student's highest learning rate, searched for every method, labels too, and uniformly in its "
        "logarithm; by default not searched",
    )
    experts: Annotated[
        Literal["any"] | None,
        Setting(
            "experts", "guidance", absent="none", meaning="experts that teach, smallest first",
            among=_subsets, written=joined, read=_split,
        ),
    ] = Field(
        None,
        description="any: for methods taught by all experts of the ladder's topology, direct or scratch, which of them "
        "teach, at least one; by default all, not searched",
    )  # fmt: skip
    early: Annotated[tuple[float, ...], Setting("early", "early", Interval(gt=0, le=1))] = Field(
        (0.25, 0.5, 0.75, 1.0),
        strict=False,
        min_length=1,
        description="kd_early only: shares of the teacher's training after which it may be taken; 1: its end",
    )

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {field: value for field, value in serialise(self).items() if value is not None}

    def with_table(self, experts: tuple[str, ...]) -> SpaceSpec:
        """Returns the space with these experts as alternatives of a table that is to be searched, if it names none."""
        unnamed = "table" in self.selectors and self.table is None
        return self.model_copy(update={"table": experts}) if unnamed else self

    def searched(self, places: Collection[Place]) -> list[str]:
        """Returns the fields that a search chooses for a training that has these parts."""
        return [
            field for field, setting in SETTINGS.items() if setting.place in places and getattr(self, field) is not None
        ]

    @field_validator("*")
    @classmethod
    def _within_bounds(cls, found: Any, field: ValidationInfo) -> Any:
        # Else a trial would be the first to meet a value that its spec refuses.
        bounds = SETTINGS[str(field.field_name)].bounds
        if bounds is not None and found is not None:
            for values in (found,) if isinstance(found, Range) else [Range(low=each, high=each) for each in found]:
                _check(values, bounds)
        return found

    @field_validator("*")
    @classmethod
    def _once(cls, found: Any) -> Any:
        if isinstance(found, tuple):
            check_once(found)
        return found


def _check(found: Range, bounds: Interval) -> None:
    lowest = [found.low > bounds.gt] if bounds.gt is not None else []  # type: ignore[operator]
    lowest += [found.low >= bounds.ge] if bounds.ge is not None else []  # type: ignore[operator]
    if all(lowest) and (bounds.le is None or found.high <= bounds.le):  # type: ignore[operator]
        return
    lower = f"above {bounds.gt:g}" if bounds.gt is not None else f"at least {bounds.ge:g}"
    upper = "" if bounds.le is None else f" and at most {bounds.le:g}"
    raise ValueError(f"found [{found.low:g}, {found.high:g}]; every value must be {lower}{upper}")


def _rows() -> dict[str, Setting]:
    rows = {
        field: next(item for item in info.metadata if isinstance(item, Setting))
        for field, info in SpaceSpec.model_fields.items()
    }
    return dict(sorted(rows.items(), key=lambda row: get_args(Place).index(row[1].place)))


SETTINGS = _rows()  # by field of the space, in the order in which they are asked


def described(field: str) -> str:
    """Returns one line of words on a field's setting."""
    return SETTINGS[field].meaning or str(SpaceSpec.model_fields[field].description)


def values_of(choice: Choice, place: Place) -> dict[str, Any]:
    """Returns the values of a point that belong to a part of the spec, by their names there."""
    found: dict[str, Any] = {}
    for setting in SETTINGS.values():
        if setting.place == place and setting.by_stratum:
            values = tuple(choice[name] for name in setting.names(len(choice)) if name in choice)
            found |= {setting.name: values} if values else {}
        elif setting.place == place and setting.name in choice:
            found[setting.name] = setting.read(choice[setting.name])
    return found


def in_columns(point: Choice) -> dict[str, Any]:
    """Returns a point with one value a setting: those of all strata are listed in one text."""
    found: dict[str, Any] = {}
    for setting in SETTINGS.values():
        values = [point[name] for name in setting.names(len(point)) if name in point]
        if values:
            found[setting.name] = ", ".join(values) if setting.by_stratum else values[0]
    return found
