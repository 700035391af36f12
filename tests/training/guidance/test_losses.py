"""The loss of a taught network, held against torch's own and against sums written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from orchestrator.training.guidance import losses
from orchestrator.training.guidance.experts import OnlineExperts, Shown
from tests.training.examples import CPU, LADDER, expert_network


def logits(classes: int, seed: int, *leading: int) -> Tensor:
    return torch.randn(*leading, 6, classes, generator=torch.Generator().manual_seed(seed)) * 3


def labels(classes: int) -> Tensor:
    return torch.arange(6) % classes


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0, 20.0])
@pytest.mark.parametrize("classes", [2, 10, 1000])
class TestDistillation:
    def test_its_batch_mean_is_that_of_kldivloss_times_the_squared_temperature(
        self, classes: int, temperature: float
    ) -> None:
        student, expert = logits(classes, 0), logits(classes, 1)
        soft_student = (student / temperature).log_softmax(dim=1)
        wanted = nn.KLDivLoss(reduction="batchmean")(soft_student, (expert / temperature).softmax(dim=1))
        found = losses.distillation(student, expert, temperature)
        assert found.shape == (6,)
        torch.testing.assert_close(found.mean(), wanted * temperature**2)

    def test_each_image_has_the_sum_over_its_classes_not_their_mean(self, classes: int, temperature: float) -> None:
        student, expert = logits(classes, 0), logits(classes, 1)
        p, q = (np.exp(z := each.double().numpy() / temperature) / np.exp(z).sum(axis=1, keepdims=True)
                for each in (expert, student))  # fmt: skip
        wanted = temperature**2 * (p * (np.log(p) - np.log(q))).sum(axis=1)
        found = losses.distillation(student, expert, temperature)
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-3, atol=1e-5)

    def test_it_is_zero_for_a_student_that_agrees_with_the_expert(self, classes: int, temperature: float) -> None:
        expert = logits(classes, 1)
        found = losses.distillation(expert + 7, expert, temperature)  # logits may be shifted
        torch.testing.assert_close(found, torch.zeros(6), rtol=0, atol=temperature**2 * 1e-5)


def test_a_weight_of_0_is_the_cross_entropy_of_the_labels() -> None:
    student = logits(5, 0)
    found = losses.guided(student, labels(5), logits(5, 1), temperature=4.0, kd_weight=0.0)
    assert torch.equal(found, nn.CrossEntropyLoss(reduction="none")(student, labels(5)))


def test_without_an_expert_it_is_the_cross_entropy_of_the_labels_whatever_the_weight() -> None:
    student = logits(5, 0)
    found = losses.guided(student, labels(5), None, temperature=4.0, kd_weight=0.9)
    assert torch.equal(found, nn.CrossEntropyLoss(reduction="none")(student, labels(5)))


def test_a_weight_of_1_is_distillation_alone() -> None:
    student, expert = logits(5, 0), logits(5, 1)
    found = losses.guided(student, labels(5), expert, temperature=4.0, kd_weight=1.0)
    assert torch.equal(found, losses.distillation(student, expert, 4.0))


def test_a_weight_between_mixes_the_two() -> None:
    student, expert = logits(5, 0), logits(5, 1)
    found = losses.guided(student, labels(5), expert, temperature=4.0, kd_weight=0.3)
    wanted = 0.7 * losses.cross_entropy(student, labels(5)) + 0.3 * losses.distillation(student, expert, 4.0)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("experts", [1, 2, 5])
def test_several_experts_teach_by_the_mean_of_their_terms(experts: int) -> None:
    student, several = logits(5, 0), logits(5, 1, experts)
    found = losses.guided(student, labels(5), several, temperature=3.0, kd_weight=1.0)
    wanted = torch.stack([losses.distillation(student, each, 3.0) for each in several]).mean(dim=0)
    torch.testing.assert_close(found, wanted)


def test_half_precision_logits_are_computed_with_in_single_precision() -> None:
    student, expert = logits(5, 0), logits(5, 1)
    found = losses.guided(student.bfloat16(), labels(5), expert.half(), temperature=4.0, kd_weight=0.5)
    wanted = losses.guided(student.bfloat16().float(), labels(5), expert.half().float(), temperature=4.0, kd_weight=0.5)
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("dense", [False, True])
def test_the_gradient_reaches_the_student_alone(dense: bool) -> None:
    networks = [expert_network(name) for name in LADDER]
    assert all(parameter.requires_grad for network in networks for parameter in network.parameters())
    before = [parameter.clone() for network in networks for parameter in network.parameters()]
    experts = OnlineExperts(networks, CPU, bf16=False)
    student, pixels = expert_network("middle"), torch.randn(6, 1, 16, 16)
    shown = Shown(np.arange(6), 0, pixels)
    expert = torch.stack([experts.one(number, shown) for number in range(3)]) if dense else experts.one(2, shown)
    losses.guided(student(pixels), labels(4), expert, temperature=4.0, kd_weight=0.9).mean().backward()
    assert all(parameter.grad is not None for parameter in student.parameters())
    after = [parameter for network in networks for parameter in network.parameters()]
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in after)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
