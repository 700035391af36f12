"""The kinds of stages, one row each, and the specs that belong to one kind alone. Imports neither torch nor ray.

A new kind is a file in ``stages/`` and a row of ``KINDS``: identities, the executor, the admission of stages, the
terminal and the report read the table. Specs of trainings and searches are in ``specs.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import SerializerFunctionWrapHandler, model_serializer

from orchestrator.artifacts import dataset, evaluated, scores, strata, trained, trials
from orchestrator.pipeline.placement import Part
from orchestrator.pipeline.specs import CodedSpec, NetworkSpec, Plain, without
from orchestrator.recipe.choices import Augmentation, NormalisationSpec, Precision, Spec

Results = Mapping[str, Any]
TRIAL_FORMAT = trials.TRIAL_VERSION


class Look(NamedTuple):
    """Appearance of stages: word, colour, and the heading under which the terminal gathers them, if it does."""

    word: str
    colour: str
    heading: str | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of stage.

    Attributes:
        name: the word that identities, artifacts' folders and tables name it by.
        function: ``module:function`` that does such a stage, imported in the process that runs it.
        format: version of its artifacts; raised when the code comes to make something else from the same spec.
        look: its appearance in the terminal and in the report's timeline.
        outcome: a few words on the results of a finished stage.
        takes_slots: whether its workers count against the cluster's slots; brief stages do not.
        ends_soon: whether stages that need it may start their processes while it runs, though it foretells no end.
        ray_train: ``module:function`` in place of ``function`` where Ray Train launches the workers.
        looks: appearance of stages whose network has one of these parts, where it is another.
    """

    name: str
    function: str
    format: int
    look: Look
    outcome: Callable[[Results], str]
    takes_slots: bool = False
    ends_soon: bool = False
    ray_train: str | None = None
    looks: tuple[tuple[Part, Look], ...] = ()


class IngestSpec(Spec):
    """A data set made canonical: its recipe without paths, and the fingerprint of its source."""

    dataset: dict[str, Any]
    fingerprint: str


class PretrainedSpec(Spec):
    """A network whose weights were brought, and how its validation accuracy is measured.

    ``normalisation`` is that of the pixels that the weights were trained on; left out where it is the data's.
    """

    network: NetworkSpec
    sha256: str
    precision: Precision
    threads: int
    normalisation: NormalisationSpec | None = None

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> Plain:
        return without(serialise(self), "normalisation" if self.normalisation is None else "")


class SnapshotSpec(Spec):
    """A network as it was after a step of its training, and how its validation accuracy is measured."""

    network: NetworkSpec
    step: int
    precision: Precision
    threads: int


class ScoreSpec(CodedSpec):
    """Experts' logits of every training image: the clean view, and ``views`` fixed views for cached guidance.

    With ``ladder``, smallest first, also the difficulties, by the logits of all of these experts: those that are not
    among ``experts`` were scored before. ``code`` names the user-defined difficulties that are computed beside
    the registered ones. With ``top_k``, below the number of classes, that many logits of a view are stored; without,
    all of them, and it is left out of the plain form.
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
    top_k: int | None = None

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> Plain:
        plain = without(serialise(self), "" if self.code else "code")
        return without(plain, "top_k" if self.top_k is None else "")


class EvaluateSpec(Spec):
    """The test set, once, for one network.

    Of a final student, also beside the logits of ``experts``: those that taught it, and the teacher. Of an expert,
    whose logits are stored for that (``stores_logits``). Fields that are not set are left out of the plain form.
    """

    network: NetworkSpec
    precision: Precision
    threads: int
    experts: tuple[str, ...] = ()
    stores_logits: bool = False

    @model_serializer(mode="wrap")
    def _without_unset(self, serialise: SerializerFunctionWrapHandler) -> Plain:
        plain = without(serialise(self), "" if self.experts else "experts")
        return without(plain, "" if self.stores_logits else "stores_logits")


class StrataSpec(Spec):
    """Strata of the test images, by their mean loss under the networks of some folds."""

    network: NetworkSpec  # of the folds
    folds: int
    strata: int
    balanced: bool
    precision: Precision
    threads: int


def _counts(results: Results) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in results["counts"].items() if count)


def _validation(results: Results) -> str:
    return f"validation {results['validation_accuracy']:.1%}"


_ROWS = (
    Kind(
        "ingest", "orchestrator.stages.ingest:run", dataset.VERSION, Look("ingest", "#8c8c8c"), _counts,
        ends_soon=True,
    ),
    Kind(
        "train", "orchestrator.stages.train:run", trained.VERSION, Look("train", "#0072b2"), _validation,
        takes_slots=True,
        ray_train="orchestrator.stages.ray_train:run",
        looks=(("student", Look("student", "#56b4e9", "final students")),),
    ),
    Kind(
        "pretrained", "orchestrator.stages.pretrained:run", trained.PRETRAINED_VERSION, Look("pretrained", "#9467bd"),
        _validation,
    ),
    Kind(
        "snapshot", "orchestrator.stages.snapshot:run", trained.SNAPSHOT_VERSION, Look("snapshot", "#e69f00"),
        _validation,
    ),
    Kind(
        "score", "orchestrator.stages.score:run", scores.VERSION, Look("score", "#009e73"),
        lambda results: f"{results['images']:,} images, {results['views']} views stored", takes_slots=True,
    ),
    Kind(
        "search", "orchestrator.stages.search:run", trials.VERSION, Look("search", "#d55e00"),
        lambda results: f"best validation {results['best']['validation_accuracy']:.1%}", takes_slots=True,
    ),
    Kind(
        "evaluate", "orchestrator.stages.evaluate:run", evaluated.VERSION, Look("evaluate", "#cc79a7", "evaluations"),
        lambda results: f"test {results['test_accuracy']:.1%}",
    ),
    Kind(
        "strata", "orchestrator.stages.strata:run", strata.VERSION, Look("strata", "#a08a00"),
        lambda results: f"{results['images']:,} test images, {results['strata']} strata",
    ),
)  # fmt: skip
KINDS = {kind.name: kind for kind in _ROWS}

# In the order of a legend.
LOOKS: tuple[Look, ...] = tuple(look for kind in _ROWS for look in (kind.look, *(look for _, look in kind.looks)))


def look_of(kind: str, part: str | None) -> Look:
    """Returns the appearance of a stage by its kind and by the part of its network."""
    row = KINDS[kind]
    return dict[str | None, Look](row.looks).get(part, row.look)
