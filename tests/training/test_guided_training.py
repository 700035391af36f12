"""Whole trainings under each kind of guidance: equivalent ones are equal, and assignments are counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from orchestrator.pipeline.specs import CurriculumSpec
from orchestrator.training.guidance.kinds.selected import Selected
from orchestrator.training.loop import Trained
from orchestrator.training.networks import new_network
from orchestrator.training.telemetry import EXPERT
from tests.training.examples import (
    PASS,
    TRAINING_IMAGES,
    Keeper,
    assert_same_weights,
    learn,
    optimizer,
    pacing,
    teaching,
    training,
    without_times,
)

STEPS = 4 * PASS + 2
SHOWN = 4 * TRAINING_IMAGES + 31 + 32  # batches of a pass over 95 images have 31, 32 and 32

NOTHING_IS_HIDDEN: dict[str, CurriculumSpec] = {
    "static": pacing("static"),
    "promote": pacing("promote"),
    "reveal from a share of 1": pacing("reveal", b=1.0),
    "reveal by the start": pacing("reveal", a=0.0),
}


@pytest.mark.parametrize("source", ["online", "cached"])
@pytest.mark.parametrize("curriculum", NOTHING_IS_HIDDEN.values(), ids=NOTHING_IS_HIDDEN)
def test_a_training_selected_from_one_expert_is_that_of_single_bit_for_bit(
    curriculum: CurriculumSpec, source: str
) -> None:
    selected = learn(training(guidance=teaching("selected", source, ["large"]), curriculum=curriculum, views=8))
    single = learn(training(guidance=teaching("single", source, ["large"]), views=8))
    assert_same_weights(selected.weights, single.weights)
    extra = ("active_fraction", "expert_limit")
    rows = [{key: row[key] for key in row if key not in extra} for row in without_times(selected.history)]
    assert rows == without_times(single.history)


GUIDANCE: dict[str, dict[str, Any]] = {
    "single": {"guidance": {"kind": "single"}},
    "dense": {"guidance": {"kind": "dense"}},
    "dense with drop": {"guidance": {"kind": "dense", "stochastic_drop": 0.5}},
    "selected": {"guidance": {"kind": "selected"}, "curriculum": pacing("promote")},
    "selected, revealed": {"guidance": {"kind": "selected"}, "curriculum": pacing("both")},
}


@pytest.mark.parametrize("case", GUIDANCE.values(), ids=GUIDANCE)
def test_with_a_stored_view_for_every_pass_cached_and_online_training_agree(case: dict[str, Any]) -> None:
    def learned(source: str, views: int) -> Trained:
        guidance = teaching(source=source, **case["guidance"])
        return learn(training(guidance=guidance, curriculum=case.get("curriculum"), views=views))

    # A new view in every pass online; as many views stored as there are passes.
    online, cached = learned("online", 0), learned("cached", 8)
    start = new_network(training().network, training().seed).state_dict()
    way, apart = distance(online.weights, start), distance(online.weights, cached.weights)
    assert 0 < apart < 0.01 * way
    assert distance(online.weights, learn(training()).weights) > 0.1 * way  # labels teach another thing
    assert cached.validation_loss == pytest.approx(online.validation_loss, rel=1e-2)


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Euclidean, over all weights (batch norm also counts its batches)."""
    apart = [(one[name] - other[name]).norm() for name in one if one[name].is_floating_point()]
    return float(torch.stack(apart).norm())


def test_each_stratum_has_its_expert_and_every_image_shown_is_counted() -> None:
    found = learn(training(guidance=teaching("selected"), curriculum=pacing("static"), steps=STEPS))
    assert found.assignment_counts.sum() == SHOWN
    assert (np.diag(found.assignment_counts) > 0).all()
    np.testing.assert_array_equal(found.assignment_counts, np.diag(np.diag(found.assignment_counts)))


def test_while_experts_open_none_teaches_a_stratum_below_its_own() -> None:
    found = learn(training(guidance=teaching("selected"), curriculum=pacing("promote", a=1.0, b=0.1), steps=STEPS))
    assert found.assignment_counts.sum() == SHOWN
    assert (found.assignment_counts[np.triu_indices(3, 1)] == 0).all()
    assert found.assignment_counts[2, 0] > 0
    assert found.assignment_counts[2, 2] > 0


def test_hidden_images_are_not_counted() -> None:
    found = learn(training(guidance=teaching("selected"), curriculum=pacing("reveal", "step", 1.0, 0.5), steps=STEPS))
    easiest = 48  # of 95, so a pass has two batches of 24
    assert found.assignment_counts.sum() == STEPS * easiest / 2
    assert found.assignment_counts[2].sum() == 0


def test_steps_that_are_taught_at_once_make_the_training_of_steps_taught_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Validations every four steps, passes of three: groups are cut by both, and experts open within them.
    spec = training(guidance=teaching("selected"), curriculum=pacing("promote"), steps=STEPS)
    at_once, at_once_rows = learn(spec, kept := Keeper()), kept.rows
    monkeypatch.setattr(Selected, "steps_at_once", 1)
    one_by_one = learn(spec, kept := Keeper())
    np.testing.assert_array_equal(at_once.assignment_counts, one_by_one.assignment_counts)
    for found, wanted in zip(at_once_rows, kept.rows, strict=True):
        assert taught_by(found) == taught_by(wanted)
        assert found["training_loss"] == pytest.approx(wanted["training_loss"], rel=1e-4)
    for name, weights in one_by_one.weights.items():
        torch.testing.assert_close(at_once.weights[name], weights, rtol=1e-3, atol=1e-4)


def taught_by(row: dict[str, Any]) -> dict[str, float]:
    """The share of each expert since the validation before, of the images that were shown."""
    shares = {key: value for key, value in row.items() if key.startswith(EXPERT)}
    assert sum(shares.values()) == pytest.approx(1)
    return shares


@pytest.mark.parametrize("kind", ["labels", "single", "dense"])
def test_without_selection_nothing_is_counted(kind: str) -> None:
    assert learn(training(guidance=teaching(kind), steps=2)).assignment_counts.sum() == 0


def test_an_expert_teaches_its_student_to_agree_with_it() -> None:
    taught_by_labels, taught_by_expert = (
        learn(training(guidance=teaching(kind, experts=["large"], kd_weight=1.0), steps=60,
                       augmentation="none", optimizer=optimizer(learning_rate=0.02)))
        for kind in ("labels", "single")
    )  # fmt: skip
    losses = [row["training_loss"] for row in taught_by_expert.history]
    assert losses[-1] < 0.2 * losses[0]
    assert taught_by_labels.validation_loss != taught_by_expert.validation_loss
