"""The demands on every distillation loss that is registered; a new loss is held to them without a word here."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from orchestrator.pipeline.specs import GuidanceSpec, TrainSpec
from orchestrator.recipe.losses import LOSSES, LossSections, parameters_of
from orchestrator.training.guidance.distillation import CLASSES, new_loss
from orchestrator.training.guidance.distillation.base import StepContext
from orchestrator.training.guidance.kinds import KINDS
from orchestrator.training.loop import Trained
from tests.training.examples import (
    Keeper,
    Killed,
    assert_same_training,
    learn,
    optimizer,
    pacing,
    teaching,
    training,
)
from tests.training.guidance.logits import labels, logits
from tests.training.networks import NO_BATCH_NORM

EACH = pytest.mark.parametrize("name", LOSSES)
TAUGHT = [kind for kind in KINDS if kind != "labels"]
CLASSES_OF_EXAMPLES = (2, 3, 10, 1000)
LATE = StepContext(step=99, steps=100)  # after any warm-up


def guidance(name: str, kind: str = "dense", **changes: Any) -> GuidanceSpec:
    """A guidance by a loss with the settings of its authors."""
    row = LOSSES[name]
    settings: dict[str, Any] = {
        "loss": name, "loss_parameters": parameters_of([name], LossSections()), "temperature": row.temperature,
        "kd_weight": row.kd_weight, "ce_weight": row.ce_weight,
    }  # fmt: skip
    return teaching(kind, **(settings | changes))


def loss_of(name: str, student: Tensor, expert: Tensor, context: StepContext = LATE) -> Tensor:
    return new_loss(guidance(name))(student, expert, labels(student.shape[1])[: len(student)], context)


def test_every_loss_that_a_recipe_may_have_is_registered() -> None:
    assert set(LOSSES) == set(CLASSES)


@EACH
def test_a_loss_with_parameters_has_a_section_in_the_recipe_and_no_other_has(name: str) -> None:
    section = LossSections.model_fields.get(name)
    assert (section.annotation if section else None) == LOSSES[name].parameters


@EACH
@pytest.mark.parametrize("classes", CLASSES_OF_EXAMPLES)
def test_it_is_one_finite_number_an_image_and_the_better_the_nearer_the_student_is(name: str, classes: int) -> None:
    student, expert = logits(classes, 0), logits(classes, 1)
    found = loss_of(name, student, expert)
    assert found.shape == (6,) and found.dtype == torch.float32 and bool(torch.isfinite(found).all())
    if classes >= LOSSES[name].fewest_classes:
        way = [loss_of(name, student + share * (expert - student), expert).mean() for share in (0.0, 0.5, 0.9)]
        assert way[0] > way[1] > way[2]


@EACH
@pytest.mark.parametrize("classes", CLASSES_OF_EXAMPLES)
def test_it_is_zero_for_a_student_that_agrees_with_the_expert(name: str, classes: int) -> None:
    expert = logits(classes, 1)
    found = loss_of(name, expert + 7, expert).mean()  # logits may be shifted
    torch.testing.assert_close(found, torch.tensor(0.0), rtol=0, atol=LOSSES[name].temperature ** 2 * 0.03)


@EACH
@pytest.mark.parametrize("classes", CLASSES_OF_EXAMPLES)
@pytest.mark.parametrize("student", ["equal", "sure", "very sure", "wrong and very sure"])
@pytest.mark.parametrize("expert", ["equal", "very sure"])
def test_its_gradient_is_finite_for_the_most_extreme_logits(name: str, classes: int, student: str, expert: str) -> None:
    right = torch.nn.functional.one_hot(labels(classes), classes).float()
    extreme = {"equal": 0 * right, "sure": 50 * right, "very sure": 1e5 * right, "wrong and very sure": -1e5 * right}
    logits = extreme[student].clone().requires_grad_()
    found = loss_of(name, logits, extreme[expert])
    found.mean().backward()
    assert bool(torch.isfinite(found).all())
    assert logits.grad is not None and bool(torch.isfinite(logits.grad).all())


@EACH
def test_logits_of_half_precision_are_computed_with_in_single_precision(name: str) -> None:
    student, expert = logits(5, 0).bfloat16(), logits(5, 1).half()
    assert torch.equal(loss_of(name, student, expert), loss_of(name, student.float(), expert.float()))


@EACH
def test_its_gradient_is_that_of_finite_differences(name: str) -> None:
    student, expert = logits(4, 0), logits(4, 1)
    student.requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(name, student, expert).sum(), student)
    nudge = torch.randn(student.shape, generator=torch.Generator().manual_seed(2)) * 1e-2
    with torch.no_grad():
        ahead, behind = (loss_of(name, student + sign * nudge, expert).double().sum() for sign in (1, -1))
    torch.testing.assert_close((ahead - behind) / 2, (gradient * nudge).sum().double(), rtol=1e-2, atol=1e-4)


@EACH
def test_it_is_a_function_of_its_arguments_alone(name: str) -> None:
    loss, context = new_loss(guidance(name)), StepContext(3, 100)
    first, _, again = (loss(logits(5, seed), logits(5, 9), labels(5), context) for seed in (0, 1, 0))
    assert torch.equal(first, again)


def spec_of(name: str, kind: str) -> TrainSpec:
    return training(guidance=guidance(name, kind, experts=["large"]), curriculum=pacing("static"))


@cache
def undisturbed(name: str, kind: str) -> Trained:
    return learn(spec_of(name, kind))


@pytest.mark.parametrize("kind", TAUGHT)
@EACH
def test_killed_and_resumed_in_any_kind_of_teaching_it_ends_in_the_same_training(name: str, kind: str) -> None:
    with pytest.raises(Killed):
        learn(spec_of(name, kind), lost := Keeper(kill_at=7, between=True))
    assert_same_training(learn(spec_of(name, kind), Keeper(lost.kept)), undisturbed(name, kind))


@pytest.mark.parametrize("kind", TAUGHT)
@EACH
def test_steps_that_are_taken_in_parts_end_in_the_same_training(name: str, kind: str) -> None:
    slow = optimizer(learning_rate=0.002)  # a loss that jumps about makes differences of rounding large
    grouped = spec_of(name, kind).model_copy(
        update={"norm_batch": 8, "network": training(NO_BATCH_NORM).network, "optimizer": slow}
    )
    whole, parts = learn(grouped), learn(grouped, micro_batch=8)
    for tensor, weights in whole.weights.items():
        torch.testing.assert_close(parts.weights[tensor], weights, rtol=1e-4, atol=1e-5)
