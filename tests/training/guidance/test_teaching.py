"""The loss of a taught network: cross-entropy and distillation, each by its weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from orchestrator.training.guidance.distillation import new_loss
from orchestrator.training.guidance.distillation.base import StepContext
from orchestrator.training.guidance.experts import OnlineExperts, Shown
from orchestrator.training.guidance.losses import cross_entropy
from orchestrator.training.guidance.teaching import Teaching
from tests.training.examples import CPU, LADDER, expert_network, teaching
from tests.training.guidance.logits import labels, logits


def taught(student: Tensor, target: Tensor | None, **guidance: Any) -> Tensor:
    """The loss of each image under a guidance, whatever experts may be behind the target."""
    experts = OnlineExperts([], CPU, bf16=False)
    found: Tensor = Teaching(teaching("dense", **guidance), experts)(student, labels(student.shape[1]), target)
    return found


def distilled(student: Tensor, expert: Tensor, **guidance: Any) -> Tensor:
    """The distillation loss of each image by one expert."""
    return new_loss(teaching("dense", **guidance))(student, expert, labels(student.shape[1]), StepContext())


def test_a_weight_of_0_is_the_cross_entropy_of_the_labels() -> None:
    student = logits(5, 0)
    found = taught(student, logits(5, 1), kd_weight=0.0)
    assert torch.equal(found, nn.CrossEntropyLoss(reduction="none")(student, labels(5)))


def test_without_an_expert_it_is_the_cross_entropy_of_the_labels_whatever_the_weights() -> None:
    student = logits(5, 0)
    found = taught(student, None, kd_weight=0.9, ce_weight=0.1)
    assert torch.equal(found, nn.CrossEntropyLoss(reduction="none")(student, labels(5)))


def test_a_weight_of_1_is_distillation_alone() -> None:
    student, expert = logits(5, 0), logits(5, 1)
    assert torch.equal(taught(student, expert, kd_weight=1.0), distilled(student, expert))


@pytest.mark.parametrize(
    ("kd_weight", "ce_weight", "rest"), [(0.3, None, 0.7), (0.3, 0.7, 0.7), (9.0, 0.1, 0.1), (1.0, 1.0, 1.0)]
)
def test_each_term_has_its_weight_and_that_of_the_labels_is_the_rest_unless_it_is_set(
    kd_weight: float, ce_weight: float | None, rest: float
) -> None:
    student, expert = logits(5, 0), logits(5, 1)
    found = taught(student, expert, kd_weight=kd_weight, ce_weight=ce_weight)
    wanted = rest * cross_entropy(student, labels(5)) + kd_weight * distilled(student, expert)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("experts", [1, 2, 5])
def test_several_experts_teach_by_the_mean_of_their_terms(experts: int) -> None:
    student, several = logits(5, 0), logits(5, 1, experts)
    found = taught(student, several, temperature=3.0, kd_weight=1.0)
    wanted = torch.stack([distilled(student, each, temperature=3.0) for each in several]).mean(dim=0)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("dense", [False, True])
def test_the_gradient_reaches_the_student_alone(dense: bool) -> None:
    networks = [expert_network(name) for name in LADDER]
    assert all(parameter.requires_grad for network in networks for parameter in network.parameters())
    before = [parameter.clone() for network in networks for parameter in network.parameters()]
    experts = OnlineExperts(networks, CPU, bf16=False)
    student, pixels = expert_network("middle"), torch.randn(6, 1, 16, 16)
    shown = Shown(np.arange(6), 0, pixels)
    target = torch.stack([experts.one(number, shown) for number in range(3)]) if dense else experts.one(2, shown)
    Teaching(teaching("dense"), experts)(student(pixels), labels(4), target).mean().backward()
    assert all(parameter.grad is not None for parameter in student.parameters())
    after = [parameter for network in networks for parameter in network.parameters()]
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in after)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
