"""The stage graph. Stages are data; the functions that run them are in ``stages/``. Imports neither torch nor ray.

A stage's identity is a hash of its kind, the kind's format version, its scientific spec and its inputs' identities. So
two recipes that have a network in common share its artifact, and a change rebuilds what follows from it and no more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from orchestrator.artifacts.identity import canonical_json
from orchestrator.pipeline.kinds import KINDS, TRIAL_FORMAT
from orchestrator.pipeline.logit_source import Source
from orchestrator.pipeline.placement import Facts, Placement
from orchestrator.pipeline.specs import NetworkSpec, TrainSpec
from orchestrator.recipe.choices import Spec
from orchestrator.recipe.schema import Recipe


@dataclass(frozen=True)
class Stage:
    """One node of the graph.

    Attributes:
        kind: name of a row of ``pipeline/kinds.py``.
        name: unique within a run.
        spec: the scientific part.
        inputs: (role, stage) pairs.
        placement: where the work is placed; no part of the identity.
        facts: the stage's place in its run; no part of the identity.
    """

    kind: str
    name: str
    spec: Spec
    inputs: tuple[tuple[str, Stage], ...] = ()
    placement: Placement = field(default_factory=Placement, compare=False)
    facts: Facts = field(default_factory=Facts, compare=False)

    @cached_property
    def identity(self) -> str:
        """Identity, ``<kind>-<20 hexadecimal digits>``; also the name of the artifact's folder."""
        inputs = {role: stage.identity for role, stage in self.inputs}
        return _identity(self.kind, KINDS[self.kind].format, self.spec.model_dump(mode="json"), inputs)


def trial_identity(student: TrainSpec, inputs: dict[str, str], scheduler: str) -> str:
    """Returns the identity of one trial of a search: its training, and the scheduler that may stop it early."""
    spec = {"student": student.model_dump(mode="json"), "scheduler": scheduler}
    return _identity("trial", TRIAL_FORMAT, spec, inputs)


def _identity(kind: str, version: int, spec: dict[str, Any], inputs: dict[str, str]) -> str:
    text = canonical_json({"kind": kind, "format": version, "spec": spec, "inputs": inputs})
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


@dataclass(frozen=True)
class Failure:
    """A stage without an artifact: ``error`` is its own, ``blocked_by`` names the failed stage that it needs."""

    stage: str
    error: str | None = None
    blocked_by: str | None = None


@dataclass(frozen=True)
class Expert:
    """An expert of a ladder, with the label that guidance names it by.

    ``name`` is the label; of an expert of a further ladder (``ladder.seeds``) with ``@seed-<seed>``.
    """

    label: str
    network: NetworkSpec
    stage: Stage
    name: str
    ladder_seed: int


@dataclass(frozen=True)
class Final:
    """A final student: method, seed, that of the ladder that teaches it, and the stages that train and test it."""

    method: str
    seed: int
    ladder_seed: int
    train: Stage
    evaluate: Stage


@dataclass(frozen=True)
class Plan:
    """All stages of a run, each after what it needs, grouped by their parts in it."""

    recipe: Recipe
    stages: tuple[Stage, ...]
    ladder: tuple[Expert, ...]  # the recipe's own topology, teacher first, of the first seed; empty for TA paths
    others: tuple[Expert, ...]  # of that seed, for takd and dgkd, kd_early (the teacher's snapshots), and TA paths
    repeats: tuple[Expert, ...]  # experts of the ladders of further seeds, where they are others
    evaluations: dict[str, Stage]  # expert's name -> its evaluation
    finals: tuple[Final, ...]
    searches: dict[str, Stage]  # method -> its search
    score: Stage | None
    source: Source
    precision: str  # the measurement that chose it, or that the recipe did
    strata: Stage | None = None  # of the test images

    @property
    def experts(self) -> tuple[Expert, ...]:
        """All experts, those of the first ladder first."""
        return (*self.ladder, *self.others, *self.repeats)

    @property
    def coinciding(self) -> dict[str, str]:
        """Methods whose students are those of an earlier method, with that method; they are trained once.

        Methods coincide where a ladder is too short for them to differ.
        """
        first: dict[tuple[str, ...], str] = {}
        found = {}
        for method in dict.fromkeys(final.method for final in self.finals):
            students = tuple(final.train.identity for final in self.finals if final.method == method)
            earlier = first.setdefault(students, method)
            if earlier != method:
                found[method] = earlier
        return found

    @property
    def run_id(self) -> str:
        """Id of the run, ``<recipe name>-<10 hexadecimal digits>``; the same recipe on the same data has the same."""
        finals = [[final.method, final.seed, final.train.identity] for final in self.finals]
        text = canonical_json({"stages": {stage.name: stage.identity for stage in self.stages}, "finals": finals})
        return f"{self.recipe.name}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def longest_chain(stages: Iterable[Stage], seconds: Mapping[str, float]) -> tuple[float, list[str]]:
    """Returns the seconds of the longest chain of stages that wait for each other, and its stages' names.

    Args:
        stages: each after what it needs.
        seconds: duration of each stage, by identity; stages without one are left out.
    """
    reach: dict[str, tuple[float, list[str]]] = {}  # the longest chain that ends in a stage
    for stage in stages:
        if stage.identity in seconds:
            before = [reach[item.identity] for _, item in stage.inputs if item.identity in reach]
            took, names = max(before, key=lambda chain: chain[0], default=(0.0, []))
            reach[stage.identity] = (took + seconds[stage.identity], [*names, stage.name])
    return max(reach.values(), key=lambda chain: chain[0], default=(0.0, []))
