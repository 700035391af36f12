"""The recipe: the YAML file that a run is made from, its schema and its checks. Imports neither torch nor ray."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from orchestrator.datasets.spec import DatasetRecipe
from orchestrator.specs import Augmentation, Mode, OptimizerSpec, PacingSpec, Scorer, Selector, SpaceSpec

Method = Literal[
    "labels", "kd", "kd_smallest", "takd", "dgkd", "dgkd_stochastic", "ces_kd", "ces_random", "ces_reversed"
]
RECIPES = Path(__file__).parent / "recipes"
DEFAULT_RECIPE = "mnist5k"


class RecipeError(ValueError):
    """The recipe can't be used; the message names the field, what was found and what to do."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class LadderNetwork(Section):
    """One network of the ladder. A bare name is enough."""

    name: str = Field(description="a registered network, or module:callable")
    steps: int | None = Field(None, gt=0, description="training steps of this network, instead of training.steps")
    learning_rate: float | None = Field(None, gt=0, description="learning rate of this network")
    weights: str | None = Field(None, description="a .safetensors file: the network is not trained but taken from it")
    workers: int | None = Field(None, gt=0, description="Ray Train workers of this network")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Ladder(Section):
    """All networks by falling capacity: the teacher, the teacher assistants, the student at the foot."""

    networks: tuple[LadderNetwork, ...] = Field(
        strict=False, min_length=2, description="teacher first, student last; names, or mappings with the fields below"
    )
    topology: Literal["direct", "sequential", "dense", "scratch"] = Field(
        "direct",
        description="a TA's guidance comes from: the teacher, the next larger network, all larger ones, labels only",
    )
    seed: int = Field(0, ge=0, description="seed of the ladder's networks and of the student's views")

    @model_validator(mode="after")
    def _different(self) -> Ladder:
        names = [network.name for network in self.networks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands in the ladder twice; every network must be a different one")
        if self.networks[-1].weights:
            raise ValueError("the student (last network) has weights set; it is what the run trains, so leave them out")
        return self


class Training(Section):
    """How every network is trained."""

    steps: int = Field(gt=0, description="training steps (batches)")
    batch_size: int = Field(128, gt=0, description="images a step, over all workers")
    optimizer: OptimizerSpec = Field(OptimizerSpec(), description="optimiser and learning-rate schedule")
    augmentation: Augmentation = Field("crop_flip", description="how views are made")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 on a GPU that has it, else fp32")
    evaluate_every: int = Field(0, ge=0, description="steps between validations; 0: after every pass over the images")
    keep: Literal["best", "last"] = Field("best", description="weights to keep: best on validation, or the last")


class Distillation(Section):
    """How experts teach, where the search does not choose it."""

    temperature: float = Field(4.0, gt=0, description="temperature that softens the logits")
    kd_weight: float = Field(0.9, ge=0, le=1, description="weight (lambda) of distillation against the labels' loss")
    stochastic_drop: float = Field(
        0.5, ge=0, lt=1, description="dgkd_stochastic: probability that an expert is dropped"
    )
    views: int = Field(8, ge=0, description="distinct views of an image that students see; 0: a new one in every pass")
    source: Literal["auto", "online", "cached"] = Field(
        "auto", description="expert outputs: run the expert, or read stored logits; auto counts forwards"
    )


class Difficulty(Section):
    """How hard an image is."""

    scorer: Scorer = Field("mean_loss", description="which difficulty orders the images")
    balanced: bool = Field(False, description="rank within each class, so that every stratum has the same class mix")
    held_out_folds: int = Field(
        0, ge=0, description="folds of the held-out loss (2 or more; 0: not computed, unless it is the scorer: 3)"
    )


class CurriculumRecipe(Section):
    """The curriculum of ces_kd where nothing is searched (search.trials: 0)."""

    mode: Mode = Field("promote", description="static, reveal, promote or both")
    selector: Selector = Field("stratified", description="how a stratum gets its expert")
    confidence: float = Field(
        0.5, gt=0, le=1, description="selector competent: probability of the label that is enough"
    )
    pacing: PacingSpec = Field(PacingSpec(), description="pacing function")


class Search(Section):
    """The pacing search, and with the same number of trials the searches of the methods it is compared with."""

    trials: int = Field(16, ge=0, description="trials of each search; 0: no search, use curriculum and distillation")
    methods: tuple[Method, ...] = Field(
        ("ces_kd",),
        strict=False,
        description="methods whose settings are searched; others than ces_kd: temperature, weight",
    )
    space: SpaceSpec = Field(SpaceSpec(), description="what may be chosen")
    steps: int | None = Field(None, gt=0, description="steps of a trial, instead of the student's")
    seed: int = Field(1000, ge=0, description="seed of the trials' student and of the sampler")
    sampler: Literal["tpe", "random"] = Field("tpe", description="Optuna's sampler")
    round_size: int = Field(
        4, gt=0, description="points proposed at once; the sampler learns from whole rounds, so that the search repeats"
    )
    scheduler: Literal["none", "asha"] = Field(
        "none", description="early stopping; asha decides by arrival, so its choice can differ between two runs"
    )

    @model_validator(mode="after")
    def _searchable(self) -> Search:
        bad = [method for method in self.methods if method in ("labels", "ces_random", "ces_reversed")]
        if bad:
            raise ValueError(f"{', '.join(bad)} has nothing to search; controls take what ces_kd's search found")
        return self


class Resources(Section):
    """What the work asks Ray for. Never changes a result, but for cpus on a CPU (threads)."""

    workers: int = Field(1, gt=0, description="Ray Train workers of each of the ladder's networks")
    cpus: int = Field(1, gt=0, description="CPUs, and threads, of each worker")
    gpus: float = Field(0, ge=0, description="GPUs of each Ray Train worker")
    student_gpus: float = Field(
        0, ge=0, description="GPUs of a single-worker student or trial; fractions share one GPU"
    )
    score_workers: int = Field(2, gt=0, description="actors that score difficulty")
    checkpoint_seconds: float = Field(15, ge=0, description="least time between two checkpoints of a single-worker run")


class Recipe(Section):
    """A run, whole."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="names the run's report")
    dataset: DatasetRecipe = Field(description="the images")
    ladder: Ladder = Field(description="the networks")
    training: Training = Field(description="how every network is trained")
    distillation: Distillation = Field(Distillation(), description="how experts teach")
    difficulty: Difficulty = Field(Difficulty(), description="how hard an image is")
    curriculum: CurriculumRecipe = Field(CurriculumRecipe(), description="the curriculum where nothing is searched")
    search: Search = Field(Search(), description="the pacing search")
    methods: tuple[Method, ...] = Field(
        ("labels", "kd", "ces_kd"), strict=False, min_length=1, description="how the final students are taught"
    )
    seeds: tuple[int, ...] = Field((0, 1, 2), strict=False, min_length=1, description="seeds of the final students")
    resources: Resources = Field(Resources(), description="what the work asks Ray for")

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)} has a seed twice")
        if len(set(self.methods)) != len(self.methods):
            raise ValueError(f"methods {list(self.methods)} has a method twice")
        if self.difficulty.held_out_folds == 1:
            raise ValueError("difficulty.held_out_folds is 1; a held-out loss needs at least 2 folds")
        if self.distillation.source == "cached" and self.distillation.views == 0:
            raise ValueError("distillation.source is cached but distillation.views is 0; say how many views to store")
        files = self.dataset.name == "image_folder"
        if files and self.training.augmentation in ("crop", "crop_flip"):
            raise ValueError(
                f"training.augmentation is {self.training.augmentation}, which is for images of one size; "
                "for image_folder use resized_crop_flip or none"
            )
        if not files and self.training.augmentation == "resized_crop_flip":
            raise ValueError(
                "training.augmentation is resized_crop_flip, which is for image_folder; use crop or crop_flip"
            )
        return self


def load(source: str | None, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by name (one of ``recipes/``) or path, with ``field=value`` overrides.

    Raises:
        RecipeError: naming the file or the field.
    """
    path = find(source or DEFAULT_RECIPE)
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"recipe {path} can't be read: {error}") from error
    if not isinstance(content, dict):
        raise RecipeError(f"recipe {path} holds a {type(content).__name__}, not a mapping of fields")
    for override in overrides:
        _override(content, override)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError("\n".join(_explain(item) for item in error.errors())) from None


def find(source: str) -> Path:
    """The recipe's file.

    Raises:
        RecipeError: with the nearest name, where there is no such recipe.
    """
    if source.endswith((".yaml", ".yml")) or "/" in source:
        path = Path(source).expanduser()
        if not path.is_file():
            raise RecipeError(f"recipe file {source} does not exist")
        return path
    known = names()
    if source not in known:
        raise RecipeError(
            f"recipe '{source}' is not known{_nearest(source, known)}; known: {', '.join(known)}; or give a path"
        )
    return RECIPES / f"{source}.yaml"


def names() -> list[str]:
    """Names of the recipes that come with the program."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def fields(model: type[BaseModel] = Recipe, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Every field of the recipe: dotted name, type and default in words, description."""
    for name, info in model.model_fields.items():
        inner = _model_of(info.annotation)
        dotted = f"{prefix}{name}"
        if inner is not None and inner.__name__ != "Range":
            many = typing.get_origin(info.annotation) is tuple
            yield dotted, "list" if many else "section", info.description or ""
            yield from fields(inner, f"{dotted}[]." if many else f"{dotted}.")
            continue
        default = "required" if info.is_required() else f"default {_plain(info.default)}"
        yield dotted, f"{_type_words(info.annotation)}; {default}", info.description or ""


def _plain(value: Any) -> str:
    if isinstance(value, BaseModel):
        return yaml.safe_dump(list(value.model_dump().values()), default_flow_style=True).strip()
    if isinstance(value, tuple):
        value = list(value)
    return yaml.safe_dump(value, default_flow_style=True).replace("...", "").strip()


def _model_of(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _type_words(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin is tuple:
        return f"list of {_type_words(arguments[0])}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join("nothing" if item is type(None) else _type_words(item) for item in arguments)
    words = {
        "int": "whole number",
        "float": "number",
        "str": "text",
        "bool": "true or false",
        "Range": "number or [low, high]",
    }
    return words.get(getattr(annotation, "__name__", ""), str(annotation))


def _override(content: dict[str, Any], override: str) -> None:
    dotted, equals, text = override.partition("=")
    if not equals or not dotted:
        raise RecipeError(f"'{override}' is neither a recipe nor field=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{dotted}: the value '{text}' is not valid YAML: {error}") from error
    *path, last = dotted.split(".")
    place = content
    for key in path:
        if place.get(key) is None:
            place[key] = {}
        if not isinstance(place[key], dict):
            raise RecipeError(f"{dotted}: '{key}' holds {place[key]!r}, which has no fields; set '{key}' as a whole")
        place = place[key]
    place[last] = value


def _explain(error: Any) -> str:
    dotted = ".".join(str(part) for part in error["loc"]) or "recipe"
    if error["type"] == "extra_forbidden":
        siblings = _siblings(error["loc"])
        return f"{dotted}: unknown field{_nearest(str(error['loc'][-1]), siblings)}; known here: {', '.join(siblings)}"
    if error["type"] == "missing":
        return f"{dotted}: required, but not set"
    message = error["msg"].removeprefix("Value error, ")
    found = error.get("input")
    shown = "" if isinstance(found, (dict, BaseModel)) or error["type"] == "value_error" else f" (found {found!r})"
    return f"{dotted}: {message[0].lower()}{message[1:]}{shown}"


def _siblings(location: Sequence[Any]) -> list[str]:
    model: type[BaseModel] = Recipe
    for part in location[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = _model_of(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _nearest(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""
