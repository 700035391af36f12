"""Specs: the scientific part of each stage as plain frozen values, from which the stage's identity is computed.

Nothing here names a worker, a device, a path or a log level.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from orchestrator.recipe.choices import (
    Augmentation,
    Mode,
    OptimizerSpec,
    PacingSpec,
    Precision,
    Scorer,
    Selector,
    Spec,
)
from orchestrator.recipe.early_stopping import SCHEDULERS, SchedulerName
from orchestrator.recipe.ladder import label_at
from orchestrator.recipe.losses import DEFAULT_LOSS, LossName, LossParameters
from orchestrator.recipe.methods import Dealing, GuidanceKind
from orchestrator.recipe.search_space import SETTINGS, Choice, Place, SpaceSpec, Value, values_of

Plain = dict[str, object]  # the serial form of a spec


def without(plain: Plain, left_out: str) -> Plain:
    """Returns a serial form without a field, so that specs in which it is not set keep their identities."""
    return {field: value for field, value in plain.items() if field != left_out}


class CodedSpec(Spec):
    """A spec that may name user-defined callables. ``code`` has the SHA-256 of each one's file, by its name.

    Without any it is left out of the plain form, so that what comes with the program keeps its identity.
    """

    code: dict[str, str] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> Plain:
        return without(serialise(self), "" if self.code else "code")


class NetworkSpec(CodedSpec):
    """A network: a registered name or ``module:callable``, and the shape of its input and output.

    ``renormalised``: its input is scaled and shifted first, from the data's normalisation to that of its weights, in
    which both numbers are. Where it is not, the field is left out of the plain form.
    """

    name: str
    classes: int
    channels: int
    image_size: int
    renormalised: bool = False

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> Plain:
        return without(super()._without_unset(serialise), "" if self.renormalised else "renormalised")


class CurriculumSpec(CodedSpec):
    """Difficulty order, pacing and selector of one student. ``control`` re-deals the same experts to other images.

    Without a table its field is left out of the plain form.
    """

    scorer: Scorer
    balanced: bool
    mode: Mode
    selector: Selector
    confidence: float
    pacing: PacingSpec
    control: Dealing = "none"
    control_seed: int = 0
    table: tuple[str, ...] = ()  # of the selector of that name: the expert of each stratum, the easiest first

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> Plain:
        return without(super()._without_unset(serialise), "" if self.table else "table")


class GuidanceSpec(Spec):
    """The distillation target of a network, and the loss. ``experts`` are names, smallest first; empty for ``labels``.

    ``ce_weight`` is None for 1 - ``kd_weight``. ``loss_parameters`` are those of the loss, or of all losses that a
    search chooses from, as far as they have any. ``early`` is the share of its own training after which the one expert,
    a teacher, is taken; until a search has chosen it, it is 1 and ``experts`` names the teacher itself. These and the
    loss are left out of the plain form at their defaults.
    """

    kind: GuidanceKind
    experts: tuple[str, ...] = ()
    temperature: float = 4.0
    kd_weight: float = 0.9
    stochastic_drop: float = 0.0
    source: Literal["none", "online", "cached"] = "none"
    loss: LossName = DEFAULT_LOSS
    loss_parameters: LossParameters = Field(default_factory=dict)
    ce_weight: float | None = None
    early: float | None = None

    @property
    def labels_weight(self) -> float:
        """Weight of the labels' cross-entropy beside the distillation."""
        return 1 - self.kd_weight if self.ce_weight is None else self.ce_weight

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> Plain:
        plain = without(serialise(self), "loss" if self.loss == DEFAULT_LOSS else "")
        plain = without(plain, "" if self.loss_parameters else "loss_parameters")
        plain = without(plain, "early" if self.early is None else "")
        return without(plain, "ce_weight" if self.ce_weight is None else "")

    @model_validator(mode="after")
    def _experts_fit(self) -> GuidanceSpec:
        builtin = self.kind in ("labels", "single", "dense", "selected")
        if builtin and (self.kind == "labels") != (not self.experts):
            raise ValueError(f"guidance {self.kind} with {len(self.experts)} experts")
        if self.kind == "single" and len(self.experts) != 1:
            raise ValueError("guidance single needs exactly one expert")
        return self


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
    searched: bool = False  # take what the search chose (search_space.py) from its artifact
    record_learned_step: bool = False
    fold: int | None = None  # train without this fold of the training images
    folds: int = 0
    norm_batch: int | None = None  # images over which batch normalisation takes its statistics; None: the batch
    compile: bool = False  # fused kernels round differently, so it belongs to the science
    both_weights: bool = False  # store the weights that ``keep`` leaves out too, for a comparison of the two

    @model_serializer(mode="wrap")
    def _without_unset_fields(self, serialise: SerializerFunctionWrapHandler) -> Plain:
        plain = without(serialise(self), "" if self.compile else "compile")
        plain = without(plain, "" if self.both_weights else "both_weights")
        return without(plain, "norm_batch" if self.norm_batch is None else "")


class SearchSpec(Spec):
    """A search over what teaches one student: ``student`` is what every trial has in common."""

    student: TrainSpec
    space: SpaceSpec
    trials: int
    round_size: int
    sampler: Literal["tpe", "random"]
    scheduler: SchedulerName
    rungs: tuple[float, ...]
    warm_start: tuple[str, ...]
    seed: int

    @model_serializer(mode="wrap")
    def _without_unasked(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = serialise(self)
        if self.student.guidance.early is None:
            plain["space"] = without(plain["space"], "early")
        return plain

    @property
    def rung_steps(self) -> tuple[int, ...]:
        """Steps of the trainings of each rung, the shortest first; the last is the whole student's."""
        steps = self.student.steps
        shares = self.rungs if SCHEDULERS[self.scheduler].has_rungs else ()
        return (*(max(1, round(share * steps)) for share in shares), steps)

    @property
    def rung_places(self) -> tuple[int, ...]:
        """Returns the number of points of each rung: about as many steps as the first, and at least one point."""
        first = self.rung_steps[0]
        return tuple(max(1, math.ceil(self.trials * first / steps)) for steps in self.rung_steps)


def apply_choice(student: TrainSpec, choice: Choice) -> TrainSpec:
    """Returns the student's training under one point of the search space.

    ``choice`` holds values by setting (``recipe/search_space.py``). A curriculum's control stays as it is.
    """
    chosen = values_of(choice, "guidance")
    if "experts" in chosen:  # a control that fewer experts teach keeps its own
        mine = tuple(expert for expert in student.guidance.experts if expert in chosen["experts"])
        chosen["experts"] = mine or student.guidance.experts
    guidance = student.guidance.model_copy(update=chosen)
    own = {name: values for name, values in guidance.loss_parameters.items() if name == guidance.loss}
    guidance = guidance.model_copy(update={"loss_parameters": own})
    early: dict[str, float] = values_of(choice, "early")
    if early:
        (teacher,) = guidance.experts
        guidance = guidance.model_copy(update={**early, "experts": (label_at(teacher, early["early"]),)})
    optimizer = student.optimizer.model_copy(update=values_of(choice, "optimizer"))
    curriculum = student.curriculum
    if curriculum is not None:
        chosen, pacing = values_of(choice, "curriculum"), values_of(choice, "curriculum.pacing")
        if pacing:
            chosen["pacing"] = PacingSpec(**pacing)
        curriculum = curriculum.model_copy(update=chosen)
        named = (curriculum.scorer, curriculum.pacing.family)
        code = {name: digest for name, digest in curriculum.code.items() if name in named}
        curriculum = curriculum.model_copy(update={"code": code})
    chosen_parts = {"guidance": guidance, "curriculum": curriculum, "optimizer": optimizer}
    return student.model_copy(update=chosen_parts | {"searched": False})


def searched_parts(training: TrainSpec) -> dict[Place, Spec]:
    """Returns the parts of a training that hold settings of the search space, as far as it has them."""
    parts: dict[Place, Spec] = {"optimizer": training.optimizer}
    if training.guidance.experts:
        parts["guidance"] = training.guidance
    if training.guidance.early is not None:
        parts["early"] = training.guidance
    if training.curriculum is not None:
        parts |= {"curriculum": training.curriculum, "curriculum.pacing": training.curriculum.pacing}
    return parts


def settings_of(training: TrainSpec) -> dict[str, Value]:
    """Returns the point of the search space that a training is at: values by setting, of those that have an effect."""
    parts, found = searched_parts(training), dict[str, Value]()
    for setting in SETTINGS.values():
        if setting.place in parts and setting.when(found):
            value = getattr(parts[setting.place], setting.in_effect or setting.name)
            values = value if setting.by_stratum else [setting.written(value)]
            found |= zip(setting.names(len(values)), values, strict=True)
    return found
