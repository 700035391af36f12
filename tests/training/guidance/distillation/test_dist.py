"""Correlations, held against numpy's and against the term of all images together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from orchestrator.training.guidance.distillation.base import StepContext
from orchestrator.training.guidance.distillation.dist import Dist, correlation, shares_over_images
from tests.training.guidance.distillation.test_every_loss import LATE
from tests.training.guidance.logits import labels, logits

OVER_CLASSES = {"beta": 1.0, "gamma": 0.0}
OVER_IMAGES = {"beta": 0.0, "gamma": 1.0}


def loss_of(parameters: dict[str, float], context: StepContext = LATE, temperature: float = 2.0) -> Tensor:
    return Dist(temperature, parameters)(logits(5, 0), logits(5, 1), labels(5), context)


def probabilities(temperature: float = 2.0) -> list[np.ndarray]:
    return [(logits(5, seed).double() / temperature).softmax(dim=1).numpy() for seed in (0, 1)]


def test_rows_worked_out_by_hand() -> None:
    a = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [2.0, 2.0, 2.0]])
    b = torch.tensor([[2.0, 4.0, 6.0], [6.0, 4.0, 2.0], [1.0, 0.0, 1.0], [1.0, 2.0, 3.0]])
    torch.testing.assert_close(correlation(a, b), torch.tensor([1.0, -1.0, 0.0, 0.0]))


def test_the_first_term_is_1_less_the_correlation_over_the_classes_of_each_image() -> None:
    wanted = [4 * (1 - np.corrcoef(p, q)[0, 1]) for p, q in zip(*probabilities(), strict=True)]
    np.testing.assert_allclose(loss_of(OVER_CLASSES).numpy(), wanted, rtol=1e-4)


def test_the_mean_of_the_second_term_is_1_less_the_mean_correlation_over_the_images_for_each_class() -> None:
    wanted = 4 * (1 - np.mean([np.corrcoef(p, q)[0, 1] for p, q in zip(*(x.T for x in probabilities()), strict=True)]))
    assert float(loss_of(OVER_IMAGES).mean()) == pytest.approx(wanted, rel=1e-4)


def test_the_terms_have_their_weights() -> None:
    found = loss_of({"beta": 3.0, "gamma": 0.5})
    torch.testing.assert_close(found, 3 * loss_of(OVER_CLASSES) + 0.5 * loss_of(OVER_IMAGES))


@given(scale=st.floats(0.05, 20), shift=st.floats(-5, 5))
def test_a_positive_affine_map_of_either_network_s_probabilities_changes_nothing(scale: float, shift: float) -> None:
    p, q = (torch.from_numpy(x) for x in probabilities())
    torch.testing.assert_close(correlation(scale * p + shift, q), correlation(p, q), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        shares_over_images(p, scale * q + shift, LATE), shares_over_images(p, q, LATE), rtol=1e-4, atol=1e-5
    )


def test_each_norm_group_is_correlated_by_itself() -> None:
    found = loss_of(OVER_IMAGES, StepContext(group_sizes=[4, 2]))
    parts = [
        Dist(2.0, OVER_IMAGES)(logits(5, 0)[part], logits(5, 1)[part], labels(5)[part], LATE)
        for part in (slice(4), slice(4, 6))
    ]
    torch.testing.assert_close(found, torch.cat(parts))


def test_a_group_of_one_image_or_none_has_no_gradient_over_images() -> None:
    student = logits(5, 0).requires_grad_()
    context = StepContext(group_sizes=[1, 0, 1, 1, 1, 1, 1])
    found = Dist(2.0, OVER_IMAGES)(student, logits(5, 1), labels(5), context)
    found.sum().backward()
    torch.testing.assert_close(found, torch.full((6,), 4.0))
    assert student.grad is not None and torch.equal(student.grad, torch.zeros(6, 5))


def test_workers_that_share_a_group_have_the_shares_of_one_worker() -> None:
    """The sums of two workers are handed to each, as if the other had sent its part."""
    student, expert = logits(5, 0), logits(5, 1)
    handed: list[Tensor] = []
    for part in (slice(2), slice(2, 6)):
        context = StepContext(sum_over_workers=lambda sums: handed.append(sums) or sums)  # type: ignore[func-returns-value]
        Dist(2.0, OVER_IMAGES)(student[part], expert[part], labels(5)[part], context)
    together = StepContext(sum_over_workers=lambda sums: handed[0] + handed[1])
    found = [
        Dist(2.0, OVER_IMAGES)(student[part], expert[part], labels(5)[part], together)
        for part in (slice(2), slice(2, 6))
    ]
    torch.testing.assert_close(torch.cat(found), loss_of(OVER_IMAGES))
