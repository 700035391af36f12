"""The demands on every kind of teaching that is registered; a new kind is held to them without a word here."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe.methods import GUIDANCE
from orchestrator.training.guidance.experts import Shown
from orchestrator.training.guidance.kinds import KINDS
from orchestrator.training.loop import Trained
from orchestrator.training.networks import new_network
from tests.training.examples import (
    Keeper,
    Killed,
    assert_same_training,
    data,
    learn,
    pacing,
    teaching,
    teaching_of,
    training,
)

EACH = pytest.mark.parametrize("kind", KINDS)
IMAGES = 6


def spec_of(kind: str) -> TrainSpec:
    """A training with one expert beside it, and a curriculum for a kind that has one."""
    if kind == "labels":
        return training()
    return training(guidance=teaching(kind, experts=["large"]), curriculum=pacing("static"))


@cache
def undisturbed(kind: str) -> Trained:
    return learn(spec_of(kind))


def test_every_kind_of_guidance_that_a_method_may_have_is_registered() -> None:
    assert set(GUIDANCE) == set(KINDS)


@EACH
def test_its_loss_is_one_finite_number_an_image_and_trains_the_network_and_its_own_parameters(kind: str) -> None:
    spec, shown = spec_of(kind), first_images()
    network, it = new_network(spec.network, spec.seed), teaching_of(spec)
    it.attach(network)
    (target,) = it.targets(shown, [IMAGES], 0, spec.steps)
    loss = it(network(shown.pixels), data().labels[data().train[:IMAGES]], target)
    assert loss.shape == (IMAGES,) and bool(torch.isfinite(loss).all())
    loss.mean().backward()
    assert all(parameter.grad is not None for parameter in [*network.parameters(), *it.parameters()])


@EACH
def test_its_state_has_no_expert_in_it(kind: str) -> None:
    spec = spec_of(kind)
    it = teaching_of(spec)
    it.attach(new_network(spec.network, spec.seed))
    wanted: dict[str, Any] = dict(it.named_parameters()) | dict(it.named_buffers())
    assert set(it.state_dict()) <= set(wanted)
    assert all(parameter.requires_grad for parameter in it.parameters())


@pytest.mark.parametrize("step", [4, 8])
@EACH
def test_killed_and_resumed_it_ends_in_the_same_training(kind: str, step: int) -> None:
    with pytest.raises(Killed):
        learn(spec_of(kind), lost := Keeper(kill_at=step))
    assert_same_training(learn(spec_of(kind), Keeper(lost.kept)), undisturbed(kind))


def first_images() -> Shown:
    numbers = data().train[:IMAGES]
    return Shown(numbers * 0 + range(IMAGES), 0, data().images.views(numbers, [0])[0])
