"""Schema of a recipe and its checks; ``loading`` reads one from a file. Imports neither torch nor ray."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from orchestrator.datasets.names import PHOTO_SETS
from orchestrator.datasets.spec import DatasetRecipe
from orchestrator.errors import UserError
from orchestrator.locations import PASSWORD, checked_uri
from orchestrator.recipe import snapshots
from orchestrator.recipe.choices import Augmentation, OptimizerSpec, Scorer
from orchestrator.recipe.curriculum import CurriculumRecipe
from orchestrator.recipe.hypothesis import STRATA_FOLDS, HypothesisRecipe
from orchestrator.recipe.ladder import Ladder
from orchestrator.recipe.losses import (
    DEFAULT_LOSS,
    LOSSES,
    LossName,
    LossSections,
    check_top_k,
    check_weights,
    own_settings,
)
from orchestrator.recipe.method_checks import check_choice_of_experts, check_selectors, with_every_expert
from orchestrator.recipe.methods import DEFAULT_METHODS, MethodName, method_of
from orchestrator.recipe.resources import Resources
from orchestrator.recipe.search import Search
from orchestrator.recipe.section import Section, Seed, check_once
from orchestrator.recipe.sharing import SharedTraining
from orchestrator.recipe.tables import check_tables
from orchestrator.recipe.workers import Workers


class RecipeError(UserError):
    """Raised when a recipe can't be used; the message names the field, what was found and what to do."""


def _of_each_loss(setting: str) -> str:
    """Returns a setting's defaults by loss, in words, for the losses that have one."""
    values = {loss.name: getattr(loss, setting) for loss in LOSSES.values()}
    return ", ".join(f"{value:g} for {name}" for name, value in values.items() if value is not None)


class Training(Section):
    """Training of every network."""

    steps: int = Field(gt=0, description="batches that every network is trained for, unless the ladder says otherwise")
    batch_size: int = Field(128, gt=0, description="images a step, over all workers")
    norm_batch: int | None = Field(
        None,
        gt=1,
        description="images, at most, over which batch normalisation takes its statistics, whatever the number of "
        "workers; by default the whole batch, which workers then share",
    )
    optimizer: OptimizerSpec = Field(OptimizerSpec(), description="optimiser and learning-rate schedule")
    augmentation: Augmentation = Field(
        "crop_flip", description="none, crop (shifted at random), crop_flip (and mirrored), resized_crop_flip (photos)"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: measured once in a storage, which of the two is faster for the student"
    )
    compile: bool = Field(
        False, description="on: networks are trained by code that torch.compile makes, which takes minutes at the start"
    )
    evaluate_every: int = Field(0, ge=0, description="steps between validations; 0: a pass over the training images")
    keep: Literal["best", "last"] = Field("best", description="weights to keep: the best on validation, or the last")


class Distillation(LossSections):
    """Knowledge distillation, where the search does not choose it."""

    loss: LossName = Field(
        DEFAULT_LOSS,
        description="the distillation loss; " + "; ".join(f"{loss.name}: {loss.words}" for loss in LOSSES.values()),
    )
    temperature: float = Field(
        4.0, gt=0, description=f"temperature that softens the logits; by default {_of_each_loss('temperature')}"
    )
    kd_weight: float = Field(
        0.9, ge=0, description=f"weight (lambda) of distillation in the loss; by default {_of_each_loss('kd_weight')}"
    )
    ce_weight: float | None = Field(
        None,
        ge=0,
        description="weight of the labels' cross-entropy in the loss; by default 1 - kd_weight, but where neither "
        f"weight is set {_of_each_loss('ce_weight')}",
    )
    stochastic_drop: float = Field(
        0.5, ge=0, lt=1, description="dgkd_stochastic only: probability that an expert is dropped"
    )
    early_at: float = Field(
        0.5, gt=0, lt=1, description="kd_early only: share of the teacher's training after which it is taken"
    )
    views: int = Field(8, ge=0, description="views of each image that students see in turn; 0: a new one in every pass")
    source: Literal["auto", "online", "cached"] = Field(
        "auto", description="online: experts run beside students; cached: logits are stored; auto: fewer forwards"
    )
    top_k: int | None = Field(
        None,
        gt=0,
        description="source cached only: logits that are stored of a view and expert, the largest; the rest of the "
        "probability is spread evenly over the other classes. By default all are stored",
    )

    @model_validator(mode="before")
    @classmethod
    def _settings_of_the_loss(cls, found: Any) -> Any:
        return own_settings(found) | found if isinstance(found, dict) else found


class Difficulty(Section):
    """Difficulty of each training image, by which the curriculum orders them."""

    scorer: Scorer = Field("held_out_loss", description="the difficulty that orders images: see docs/choices.md")
    balanced: bool = Field(False, description="rank images within their class, so that every stratum has the same mix")
    held_out_folds: int = Field(
        0, ge=0, le=100, description="folds of the held-out loss, 2 or more; 0: none, or 3 where it is the scorer"
    )
    fold_steps: int | None = Field(
        None,
        gt=0,
        description="steps of each fold's training, instead of those of the smallest expert, whose network it has",
    )


class Recipe(Section):
    """A whole run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100, description="prefix of the run's id")
    dataset: DatasetRecipe = Field(description="the images")
    ladder: Ladder = Field(description="the networks")
    training: Training = Field(description="training of every network")
    distillation: Distillation = Field(Distillation(), description="knowledge distillation")
    difficulty: Difficulty = Field(Difficulty(), description="difficulty of each training image")
    curriculum: CurriculumRecipe = Field(CurriculumRecipe(), description="the curriculum where nothing is searched")
    search: Search = Field(Search(), description="the pacing search")
    hypothesis: HypothesisRecipe = Field(HypothesisRecipe(), description="measurement of CES-KD's hypothesis")
    methods: tuple[MethodName, ...] = Field(
        DEFAULT_METHODS,
        strict=False,
        validate_default=True,
        min_length=1,
        description="methods that teach the final students; kd:<expert> is one expert of the ladder, kd:* each of them",
    )
    seeds: tuple[Seed, ...] = Field(
        (0, 1, 2), strict=False, min_length=1, max_length=256, description="seeds of the final students"
    )
    resources: Resources = Field(Resources(), description="resource requests to Ray")
    tracking: Literal["none", "mlflow", "wandb"] = Field(
        "none",
        description="tracking server of trainings, besides TensorBoard: none, MLflow, or Weights & Biases; "
        "never changes a result",
    )
    tracking_uri: Annotated[str, AfterValidator(checked_uri)] | None = Field(
        None,
        description="mlflow: server or database; by default MLFLOW_TRACKING_URI, else a database in the storage. "
        "wandb: address of a self-hosted server",
    )

    @property
    def searched_methods(self) -> tuple[MethodName, ...]:
        """The methods that get a search, in the order of ``methods``."""
        if not self.search.trials:
            return ()
        chosen_by = dict.fromkeys(method_of(name).searched_as for name in self.methods)
        wanted = [name for name in chosen_by if self.search.has_choices(method_of(name))]
        return tuple(name for name in wanted if self.search.methods is None or name in self.search.methods)

    @property
    def folds(self) -> int:
        """Folds of the held-out loss, where it is computed."""
        held_out = self.difficulty.scorer == "held_out_loss"
        return self.difficulty.held_out_folds or (3 if held_out else 0)

    @property
    def trained_folds(self) -> int:
        """Folds whose networks are trained: for the held-out loss, or for the strata of the test images alone."""
        return self.folds or (STRATA_FOLDS if self.hypothesis.matrix else 0)

    def ladder_seed(self, seed: int) -> int:
        """Returns the seed of the ladder that teaches students of a seed: number i has ladder i modulo their number."""
        ladders = self.ladder.all_seeds
        return ladders[self.seeds.index(seed) % len(ladders) if len(ladders) > 1 else 0]

    def workers_of(self, place: int) -> tuple[str, Workers]:
        """Returns the workers of the network at a place of the ladder, as an expert or the student, and their field."""
        networks, resources = self.ladder.networks, self.resources
        if own := networks[place].workers:
            return f"ladder.networks[{place}].workers", own
        if place == len(networks) - 1:
            return "resources.student_workers", self._student_workers
        return "resources.workers", resources.workers

    @property
    def _student_workers(self) -> Workers:
        count = self.resources.student_workers
        return Workers(fewest=count, most=count)

    def _shared_trainings(self) -> list[SharedTraining]:
        networks, resources = self.ladder.networks, self.resources
        gpus, student_gpus = ("resources.gpus", resources.gpus), ("resources.student_gpus", resources.student_gpus)
        last = len(networks) - 1
        found = []
        for place, network in enumerate(networks):
            batch, own = ("training.batch_size", self.training.batch_size), self.ladder.training_of(network)
            if own.batch_size:
                batch = f"ladder.networks[{networks.index(own)}].batch_size", own.batch_size
            of_this = student_gpus if place == last else gpus
            if not network.weights and not network.at:
                found.append(SharedTraining(network.name, batch, self.workers_of(place), of_this))
            if place == last - 1 and self.trained_folds:
                workers = "resources.student_workers", self._student_workers
                found.append(SharedTraining(f"{network.name} (a fold)", batch, workers, student_gpus))
        return found

    @field_validator("methods")
    @classmethod
    def _of_the_ladder(cls, methods: tuple[MethodName, ...], known: ValidationInfo) -> tuple[MethodName, ...]:
        if not {"ladder", "hypothesis"} <= known.data.keys():
            return methods
        experts = known.data["ladder"].experts
        return known.data["hypothesis"].with_students(with_every_expert(methods, experts), experts)

    @field_validator("search")
    @classmethod
    def _searched_of_the_ladder(cls, search: Search, known: ValidationInfo) -> Search:
        if search.methods is None or "ladder" not in known.data:
            return search
        try:
            methods = with_every_expert(search.methods, known.data["ladder"].experts)
        except ValueError as error:
            raise ValueError(f"methods: {error}") from None
        return search.model_copy(update={"methods": methods})

    @field_validator("seeds", "methods")
    @classmethod
    def _once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        check_once(values)
        return values

    def _check_weights(self) -> None:
        fixed, space = self.distillation, self.search.space
        ce = None if fixed.ce_weight is None else ("distillation.ce_weight", fixed.ce_weight)
        check_weights(("distillation.kd_weight", fixed.kd_weight), ce)
        if space.ce_weight is not None:
            ce = ("search.space.ce_weight", space.ce_weight.high)
        check_weights(("search.space.kd_weight", space.kd_weight.high), ce)

    @field_validator("tracking_uri")
    @classmethod
    def _without_password(cls, uri: str | None) -> str | None:
        if uri and PASSWORD.search(uri):
            raise ValueError(
                "holds a password, which the report would show; set MLFLOW_TRACKING_URI, or "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, in the environment instead"
            )
        return uri

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        for training in self._shared_trainings():
            training.check(self.training.norm_batch, self.resources.micro_batch)
        check_selectors(self.methods, self.curriculum.selector, self.search.space.selectors, self.searched_methods)
        snapshots.check(self)
        if self.difficulty.held_out_folds == 1:
            raise ValueError("difficulty.held_out_folds is 1; a held-out loss needs at least 2 folds")
        if (ladders := len(self.ladder.all_seeds)) > len(self.seeds):
            raise ValueError(
                f"ladder.seeds has {ladders} seeds, but seeds has {len(self.seeds)}, so some ladders "
                "would teach no student; give more seeds, or fewer ladder.seeds"
            )
        experts = self.ladder.experts[::-1]
        check_tables(self.curriculum.selector, self.curriculum.table, self.search.space, experts)
        if self.tracking_uri and self.tracking == "none":
            raise ValueError(f"tracking_uri is {self.tracking_uri} but tracking is none; set mlflow or wandb")
        if self.distillation.source == "cached" and self.distillation.views == 0:
            raise ValueError(
                "distillation.source is cached but distillation.views is 0; give the number of views to store"
            )
        if self.distillation.top_k and self.distillation.source != "cached":
            raise ValueError(
                f"distillation.top_k is {self.distillation.top_k}, which shortens stored logits, but "
                f"distillation.source is {self.distillation.source}; set it to cached, or leave top_k out"
            )
        if self.distillation.top_k:
            check_top_k(self.distillation.top_k, "distillation.loss", [self.distillation.loss])
            check_top_k(self.distillation.top_k, "search.space.losses", self.search.space.losses or ())
        self._check_weights()
        if self.search.space.experts:
            check_choice_of_experts(self.ladder.topology, len(self.ladder.networks) - 1, self.search.space.selectors)
        files = self.dataset.name in PHOTO_SETS
        if files and self.training.augmentation in ("crop", "crop_flip"):
            raise ValueError(
                f"training.augmentation is {self.training.augmentation}, which is for images of one size; "
                f"for {', '.join(PHOTO_SETS)} use resized_crop_flip or none"
            )
        if not files and self.training.augmentation == "resized_crop_flip":
            raise ValueError(
                f"training.augmentation is resized_crop_flip, which is for {', '.join(PHOTO_SETS)}; "
                "use crop or crop_flip"
            )
        return self
