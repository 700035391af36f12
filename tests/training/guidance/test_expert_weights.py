"""Several experts as one target, and weights of images and experts, against values written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from orchestrator.recipe.losses import LOSSES
from orchestrator.training.guidance import losses
from orchestrator.training.guidance.experts import Shown
from orchestrator.training.guidance.kinds import new_teaching
from orchestrator.training.guidance.kinds.image_weight import image_weights
from orchestrator.training.guidance.kinds.weighted import expert_weights
from orchestrator.training.guidance.teaching import Teaching
from tests.training.examples import LADDER, data, expert_network, experts_of, teaching

NUMBERS = np.array([8, 90, 3, 41, 42, 0, 17])
SOURCES = pytest.mark.parametrize("source", ["online", "cached"])


def shown() -> Shown:
    whole = data()
    return Shown(NUMBERS, 2, whole.images.views(whole.train[NUMBERS], [2])[0])


def labels() -> Tensor:
    whole = data()
    return whole.labels[torch.from_numpy(whole.train[NUMBERS])]


def opened(kind: str, source: str = "online", experts: tuple[str, ...] = tuple(LADDER), loss: str = "kd") -> Teaching:
    spec = teaching(kind, source, experts, loss=loss)
    return new_teaching(spec, experts_of(spec))


def probabilities(*rows: list[float]) -> Tensor:
    """Logits whose softmax these rows are."""
    return torch.tensor(rows).log()


def every_logits() -> Tensor:
    with torch.no_grad():
        return torch.stack([expert_network(name).eval()(shown().pixels) for name in LADDER])


def loss_of(it: Teaching, student: Tensor) -> Tensor:
    return it(student, labels(), it.target(shown(), step=0, progress=0.0))


def student_logits() -> Tensor:
    return torch.randn(len(NUMBERS), 4, generator=torch.Generator().manual_seed(0)) * 2


def guided(student: Tensor, distillation: Tensor) -> Tensor:
    """Returns the loss of each image with the weight 0.9 of distillation, (B,)."""
    return 0.1 * losses.cross_entropy(student, labels()) + 0.9 * distillation


# -- the mean of all experts ---------------------------------------------------------------------------------------


@SOURCES
def test_the_mean_is_taken_of_logits_before_they_are_softened(source: str) -> None:
    it = opened("mean", source)
    every = every_logits()
    torch.testing.assert_close(it.target(shown(), 0, 0.0), every.mean(dim=0), rtol=2e-3, atol=2e-3)
    wanted = guided(student_logits(), losses.divergence(student_logits(), every.mean(dim=0), 4.0))
    torch.testing.assert_close(loss_of(it, student_logits()), wanted, rtol=2e-3, atol=2e-3)


def test_its_softmax_is_the_geometric_mean_of_the_softened_predictions() -> None:
    mean = probabilities([0.5, 0.5], [0.8, 0.2]).mean(dim=0)
    products = torch.tensor([0.5 * 0.8, 0.5 * 0.2]).sqrt()
    torch.testing.assert_close(mean.softmax(dim=0), products / products.sum())


# -- weights of experts --------------------------------------------------------------------------------------------


def test_an_expert_s_weight_is_that_of_the_paper_s_formula() -> None:
    """Two images, three experts, whose losses on the label are ln 2, ln 4, ln 4 and 0.1, 2, 5."""
    first = [[0.5, 0.5], [0.25, 0.75], [0.25, 0.75]]
    second = [[math.exp(-loss), 1 - math.exp(-loss)] for loss in (0.1, 2.0, 5.0)]
    experts = torch.stack([probabilities(one, two) for one, two in zip(first, second, strict=True)])
    found = expert_weights(experts, torch.tensor([0, 0]))
    # exp(CE) is 2, 4, 4 of a sum of 10; and e^0.1, e^2, e^5 of 156.9074
    torch.testing.assert_close(found[:, 0], torch.tensor([0.4, 0.3, 0.3]))
    torch.testing.assert_close(
        found[:, 1], torch.tensor([0.496478, 0.476454, 0.027068]), rtol=0, atol=1e-5
    )  # fmt: skip


def test_weights_of_experts_sum_to_one_and_fall_with_the_loss() -> None:
    experts = torch.randn(3, 50, 4, generator=torch.Generator().manual_seed(1)) * 3
    found = expert_weights(experts, torch.arange(50) % 4)
    torch.testing.assert_close(found.sum(dim=0), torch.ones(50))
    loss = torch.stack([losses.cross_entropy(each, torch.arange(50) % 4) for each in experts])
    assert torch.equal(found.argmax(dim=0), loss.argmin(dim=0))


@SOURCES
def test_the_loss_has_each_expert_s_term_by_its_weight(source: str) -> None:
    every, student = every_logits(), student_logits()
    weights = expert_weights(every, labels())
    terms = (weights * torch.stack([losses.divergence(student, its, 4.0) for its in every])).sum(dim=0)
    wanted = guided(student, terms)
    torch.testing.assert_close(loss_of(opened("weighted", source), student), wanted, rtol=5e-3, atol=5e-3)


def test_experts_with_one_loss_are_averaged_as_dense_averages_them() -> None:
    one = every_logits()[0]
    same, student = torch.stack([one, one, one]), student_logits()
    weighted, dense = opened("weighted"), opened("dense")
    torch.testing.assert_close(weighted(student, labels(), same), dense(student, labels(), same))


@pytest.mark.parametrize("kind", ["mean", "weighted"])
def test_one_expert_alone_teaches_as_single(kind: str) -> None:
    student, alone = student_logits(), opened("single", experts=("large",))
    found = loss_of(opened(kind, experts=("large",)), student)
    torch.testing.assert_close(found, loss_of(alone, student), rtol=1e-6, atol=1e-6)


# -- weights of images ---------------------------------------------------------------------------------------------


def test_an_image_s_weight_is_that_of_the_paper_s_formula() -> None:
    """Losses of student and expert: ln 2 and ln 2, ln 4 and ln 2, ln 2 and ln 4."""
    half, quarter = [0.5, 0.5], [0.25, 0.75]
    found = image_weights(
        probabilities(half, quarter, half), probabilities(half, half, quarter), torch.tensor([0, 0, 0])
    )
    wanted = [1 - math.exp(-1), 1 - math.exp(-2), 1 - math.exp(-0.5)]
    torch.testing.assert_close(found, torch.tensor(wanted))


def test_an_expert_without_loss_has_the_weight_1_and_0_where_the_student_has_none_either() -> None:
    sure, unsure = [200.0, 0.0], [0.0, 0.0]
    found = image_weights(
        torch.tensor([unsure, sure, sure]), torch.tensor([sure, sure, unsure]), torch.tensor([0, 0, 0])
    )
    assert found.tolist() == [1.0, 0.0, 0.0]


@SOURCES
def test_the_weight_is_of_the_distillation_term_alone_and_passes_no_gradient(source: str) -> None:
    it = opened("image_weight", source, ("large",))
    student, expert = student_logits().requires_grad_(), every_logits()[-1]
    loss = loss_of(it, student)
    weights = image_weights(student, expert, labels())
    assert not weights.requires_grad and bool(((weights >= 0) & (weights <= 1)).all())
    term = losses.divergence(student, expert, 4.0)
    wanted = guided(student, weights * term)
    torch.testing.assert_close(loss, wanted, rtol=5e-3, atol=5e-3)
    (found,), (expected,) = (torch.autograd.grad(each.sum(), student) for each in (loss, wanted))
    torch.testing.assert_close(found, expected, rtol=5e-3, atol=5e-3)


# -- with every distillation loss ----------------------------------------------------------------------------------

EVERY_LOSS = pytest.mark.parametrize("loss", LOSSES)


@EVERY_LOSS
def test_the_mean_of_experts_is_the_one_expert_of_any_loss(loss: str) -> None:
    it, student = opened("mean", loss=loss), student_logits()
    wanted = guided(student, it.loss(student, every_logits().mean(dim=0), labels(), it.context))
    torch.testing.assert_close(loss_of(it, student), wanted, rtol=1e-4, atol=1e-4)


@EVERY_LOSS
def test_weights_of_experts_multiply_the_terms_of_any_loss(loss: str) -> None:
    it, student, every = opened("weighted", loss=loss), student_logits(), every_logits()
    terms = torch.stack([it.loss(student, its, labels(), it.context) for its in every])
    wanted = guided(student, (expert_weights(every, labels()) * terms).sum(dim=0))
    torch.testing.assert_close(loss_of(it, student), wanted, rtol=1e-4, atol=1e-4)


@EVERY_LOSS
def test_weights_of_images_multiply_the_term_of_any_loss(loss: str) -> None:
    it, student, expert = opened("image_weight", experts=("large",), loss=loss), student_logits(), every_logits()[-1]
    term = it.loss(student, expert, labels(), it.context)
    wanted = guided(student, image_weights(student, expert, labels()) * term)
    torch.testing.assert_close(loss_of(it, student), wanted, rtol=1e-4, atol=1e-4)
