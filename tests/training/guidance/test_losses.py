"""The divergence of softened probabilities, held against torch's own and against sums written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from orchestrator.training.guidance import losses
from tests.training.guidance.logits import logits


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0, 20.0])
@pytest.mark.parametrize("classes", [2, 10, 1000])
class TestDivergence:
    def test_its_batch_mean_is_that_of_kldivloss_times_the_squared_temperature(
        self, classes: int, temperature: float
    ) -> None:
        student, expert = logits(classes, 0), logits(classes, 1)
        soft_student = (student / temperature).log_softmax(dim=1)
        wanted = nn.KLDivLoss(reduction="batchmean")(soft_student, (expert / temperature).softmax(dim=1))
        found = losses.divergence(student, expert, temperature)
        assert found.shape == (6,)
        torch.testing.assert_close(found.mean(), wanted * temperature**2, rtol=1e-5, atol=1e-5)

    def test_each_image_has_the_sum_over_its_classes_not_their_mean(self, classes: int, temperature: float) -> None:
        student, expert = logits(classes, 0), logits(classes, 1)
        p, q = (np.exp(z := each.double().numpy() / temperature) / np.exp(z).sum(axis=1, keepdims=True)
                for each in (expert, student))  # fmt: skip
        wanted = temperature**2 * (p * (np.log(p) - np.log(q))).sum(axis=1)
        found = losses.divergence(student, expert, temperature)
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-3, atol=1e-5)

    def test_it_is_zero_for_a_student_that_agrees_with_the_expert(self, classes: int, temperature: float) -> None:
        expert = logits(classes, 1)
        found = losses.divergence(expert + 7, expert, temperature)  # logits may be shifted
        torch.testing.assert_close(found, torch.zeros(6), rtol=0, atol=temperature**2 * 1e-5)
