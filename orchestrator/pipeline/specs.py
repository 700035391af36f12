"""What a stage does, as plain frozen values: the scientific part of a stage, from which its identity is computed.

Nothing here names a worker, a device, a path or a log level. The recipe (``recipe.py``) is what a person writes; these
are what ``graph.py`` makes of it. Several are part of both, so that a field is described in one place only.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from typing_extensions import Self

from orchestrator.recipe.messages import NameOrOwn

FAMILIES = ("log", "exp", "step", "root", "linear", "quadratic", "fixed_exponential")
SCORERS = ("expert_loss", "margin", "entropy", "mean_loss", "held_out_loss", "learned_step")
Family = Annotated[str, AfterValidator(NameOrOwn(FAMILIES))]
Scorer = Annotated[str, AfterValidator(NameOrOwn(SCORERS))]
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


class CodedSpec(Spec):
    """A spec that may name callables of a person's own. ``code`` has the SHA-256 of the file behind each, by its name.

    Without any it is left out of the plain form, so that what comes with the program keeps its identity.
    """

    code: dict[str, str] = {}

    @model_serializer(mode="wrap")
    def _without_empty_code(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain = serialise(self)
        return plain if self.code else {field: value for field, value in plain.items() if field != "code"}


class NetworkSpec(CodedSpec):
    """A network: a registered name or ``module:callable``, and the shape of its input and output."""

    name: str
    classes: int
    channels: int
    image_size: int


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


class CurriculumSpec(CodedSpec):
    """Difficulty order, pacing and selector of one student. ``control`` re-deals the same experts to other images."""

    scorer: Scorer
    balanced: bool
    mode: Mode
    selector: Selector
    confidence: float
    pacing: PacingSpec
    control: Literal["none", "random", "reversed"] = "none"
    control_seed: int = 0


class GuidanceSpec(Spec):
    """What a network is taught by. ``experts`` are names, smallest first; empty for ``labels``."""

    kind: Literal["labels", "single", "dense", "selected"]
    experts: tuple[str, ...] = ()
    temperature: float = 4.0
    kd_weight: float = 0.9
    stochastic_drop: float = 0.0
    source: Literal["none", "online", "cached"] = "none"

    @model_validator(mode="after")
    def _experts_fit(self) -> GuidanceSpec:
        if (self.kind == "labels") != (not self.experts):
            raise ValueError(f"guidance {self.kind} with {len(self.experts)} experts")
        if self.kind == "single" and len(self.experts) != 1:
            raise ValueError("guidance single needs exactly one expert")
        return self


class IngestSpec(Spec):
    """A data set made canonical: its recipe without paths, and the fingerprint of its source."""

    dataset: dict[str, Any]
    fingerprint: str


class TrainSpec(Spec):
    """One network's training, whole: everything that its weights are a function of, besides its inputs' artifacts."""

    network: NetworkSpec
    guidance: GuidanceSpec
    optimizer: OptimizerSpec
    steps: int
    batch_size: int
    augmentation: Augmentation
    views: int  # number of distinct views; 0: a new view in every pass
    views_seed: int
    precision: Precision
    evaluate_every: int  # steps; 0: after every pass over the training images
    keep: Literal["best", "last"]
    seed: int
    threads: int  # sums are taken in another order with another number of threads, so it belongs to the science
    curriculum: CurriculumSpec | None = None
    searched: bool = False  # take the curriculum, temperature and weight from the search's artifact
    record_learned_step: bool = False
    fold: int | None = None  # train without this fold of the training images
    folds: int = 0


class PretrainedSpec(Spec):
    """A network whose weights were brought, and how its validation accuracy is measured."""

    network: NetworkSpec
    sha256: str
    precision: Precision
    threads: int


class ScoreSpec(CodedSpec):
    """Experts' logits of every training image: the clean view, and ``views`` fixed views for cached guidance.

    With ``ladder``, smallest first, also the difficulties, by the logits of all of these experts: those that are not
    among ``experts`` were scored before. ``code`` names the difficulties of a person's own that are computed beside
    the registered ones.
    """

    experts: tuple[str, ...]  # smallest first
    networks: tuple[NetworkSpec, ...]
    views: int
    views_seed: int
    augmentation: Augmentation
    precision: Precision
    threads: int
    ladder: tuple[str, ...] = ()
    fold_network: NetworkSpec | None = None
    folds: int = 0


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


class SearchSpec(Spec):
    """A search over what teaches one student: ``student`` is what every trial has in common."""

    student: TrainSpec
    space: SpaceSpec
    trials: int
    round_size: int
    sampler: Literal["tpe", "random"]
    scheduler: Literal["none", "halving", "asha"]
    rungs: tuple[float, ...]
    warm_start: tuple[str, ...]
    seed: int

    @property
    def rung_steps(self) -> tuple[int, ...]:
        """Steps of the trainings of each rung, the shortest first; the last is the whole student's."""
        steps = self.student.steps
        shares = self.rungs if self.scheduler == "halving" else ()
        return (*(max(1, round(share * steps)) for share in shares), steps)

    @property
    def rung_places(self) -> tuple[int, ...]:
        """How many points reach each rung: every rung costs about as many steps as the first, and has one at least."""
        first = self.rung_steps[0]
        return tuple(max(1, math.ceil(self.trials * first / steps)) for steps in self.rung_steps)


class EvaluateSpec(Spec):
    """The test set, once, for one network."""

    network: NetworkSpec
    precision: Precision
    threads: int


def apply_choice(student: TrainSpec, choice: dict[str, Any]) -> TrainSpec:
    """The student's training under one point of the search space.

    ``choice`` holds any of ``temperature``, ``kd_weight``, ``mode``, ``selector`` and the fields of the pacing
    (``family``, ``a``, ``b``, ``increase``, ``step_length``). The curriculum's control, where there is one, stays.
    """
    guidance = student.guidance.model_copy(
        update={key: choice[key] for key in ("temperature", "kd_weight") if key in choice}
    )
    curriculum = student.curriculum
    if curriculum is not None:
        pacing = {key: choice[key] for key in PacingSpec.model_fields if key in choice}
        if pacing:
            curriculum = curriculum.model_copy(update={"pacing": PacingSpec(**pacing)})
        curriculum = curriculum.model_copy(update={key: choice[key] for key in ("mode", "selector") if key in choice})
        named = (curriculum.scorer, curriculum.pacing.family)
        code = {name: digest for name, digest in curriculum.code.items() if name in named}
        curriculum = curriculum.model_copy(update={"code": code})
    return student.model_copy(update={"guidance": guidance, "curriculum": curriculum, "searched": False})
