"""Small recipes, their plans, and artifacts constructed for them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.trained import ASSIGNMENTS
from orchestrator.datasets import describe
from orchestrator.pipeline.graph import Plan, Stage
from orchestrator.pipeline.plan import plan
from orchestrator.recipe import loading as recipes
from orchestrator.recipe.schema import Recipe, RecipeError

ROOT = Path(__file__).parents[1]
TINY = str(Path(__file__).with_name("tiny.yaml"))
JARGON = re.compile(r"tuple|dictionary|instance of|valid integer|pydantic|validation error|Input should|NoneType")
ONLY_LABELS = ("methods=[labels]", "seeds=[0]", "search.trials=0")


def tiny(*overrides: str) -> Recipe:
    """The small recipe with changes, as the command line takes them."""
    return recipes.load(TINY, overrides)


def refusal(*overrides: str, source: str = TINY) -> str:
    """The message that these changes of the small recipe are refused with."""
    with pytest.raises(RecipeError) as refused:
        recipes.load(source, overrides)
    message = str(refused.value)
    assert not JARGON.search(message), message
    return message


def planned(*overrides: str, fingerprint: str | None = None) -> Plan:
    """The small recipe's plan; ``fingerprint`` stands for another source of the data."""
    recipe = tiny(*overrides)
    data = describe(recipe.dataset)
    if fingerprint is not None:
        data = dataclasses.replace(data, fingerprint=fingerprint)
    return plan(recipe, data)


def identities(chosen: Plan) -> dict[str, str]:
    """Each stage's identity by its name."""
    return {stage.name: stage.identity for stage in chosen.stages}


def stage(chosen: Plan, name: str) -> Stage:
    """The stage of this name."""
    return next(stage for stage in chosen.stages if stage.name == name)


class _Results(dict[str, Any]):
    """Results of a stage; a kind that has none below has 0.5 for each."""

    def __missing__(self, name: str) -> float:
        return 0.5


def make_artifacts(chosen: Plan, store: Store, without: Iterable[str] = ()) -> dict[str, Artifact]:
    """An artifact for each stage but those of the names ``without``, with results such as the stages give.

    Stage number n works from second 100 + n to 102 + n. Seed s of the finals has test accuracy 0.7 + 0.1 s.
    """
    left_out = set(without)
    made = {}
    for number, item in enumerate(chosen.stages):
        if item.name in left_out:
            continue
        with store.scratch() as scratch:
            results = _results(item, chosen, scratch)
            artifact = Artifact(
                identity=item.identity,
                kind=item.kind,
                name=item.name,
                spec=item.spec.model_dump(mode="json"),
                inputs={role: upstream.identity for role, upstream in item.inputs},
                start=100.0 + number,
                end=102.0 + number,
                node="here",
                results=_Results(results | {"cost": {"slot_seconds": 2.0, "width": 1}}),
                versions={"python": "3.11.7", "torch": "2.14.1"},
            )
            made[item.identity] = store.commit(artifact, scratch)
    return made


def _results(item: Stage, chosen: Plan, scratch: Path) -> dict[str, Any]:
    seed_of = {final.evaluate.identity: final.seed for final in chosen.finals}
    if item.kind == "train":
        experts = len(chosen.ladder)
        np.save(scratch / ASSIGNMENTS, np.eye(experts, dtype=np.int64) * 10)
        taught_with = {
            "temperature": 2.0, "kd_weight": 9.0, "ce_weight": 0.1, "loss": "dkd", "loss_parameters": {"beta": 8.0},
            "curriculum": None, "learning_rate": 0.1,
        }  # fmt: skip
        return {
            "validation_accuracy": 0.75,
            "steps": 30,
            "weights_sha256": "0" * 64,
            "taught_with": taught_with,
            "seconds": 2.0,
            "spent": {"data": 0.5, "compute": 1.5},
        }
    if item.kind == "evaluate":
        seed = seed_of.get(item.identity, 0)
        return {"test_accuracy": 0.7 + 0.1 * seed, "validation_accuracy": 0.75}
    if item.kind == "score":
        return {
            "images": 384,
            "views": 4,
            "experts_right": {expert.label: 0.9 for expert in chosen.ladder},
            "severity_correlation": {"mean_loss": 0.6, "margin": float("nan")},
        }
    if item.kind == "search":
        trials = [
            {"id": 0, "config": {"a": 0.4}, "validation_accuracy": 0.5, "steps": 30, "status": "finished"},
            {"id": 1, "config": {"a": 0.6}, "validation_accuracy": 0.8, "steps": 30, "status": "finished"},
            {"id": 2, "config": {"a": 0.8}, "validation_accuracy": None, "steps": 0, "status": "failed", "error": "x"},
        ]
        return {"trials": trials, "best": trials[1]}
    if item.kind == "ingest":
        return {"classes": 4, "counts": {"train": 320, "validation": 64, "test": 64}}
    return {}
