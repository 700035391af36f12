"""Logit standardisation, held against numbers worked out by hand and against kd."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.training.guidance.distillation.standardised import Standardised, standardise
from orchestrator.training.guidance.losses import divergence
from tests.training.guidance.distillation.test_every_loss import LATE
from tests.training.guidance.logits import labels, logits


def test_the_logits_1_2_3_become_minus_1_0_1() -> None:
    torch.testing.assert_close(standardise(torch.tensor([[1.0, 2.0, 3.0]])), torch.tensor([[-1.0, 0.0, 1.0]]))


def test_the_deviation_is_the_unbiased_one() -> None:
    scattered = logits(7, 0)
    wanted = (scattered - scattered.mean(1, keepdim=True)) / (scattered.std(1, keepdim=True, unbiased=True) + 1e-7)
    torch.testing.assert_close(standardise(scattered), wanted)


def test_equal_logits_become_0() -> None:
    assert torch.equal(standardise(torch.full((2, 5), 3.0)), torch.zeros(2, 5))


def test_an_image_worked_out_by_hand() -> None:
    # standardised: student (-1, 0, 1), expert (1, 0, -1); T = 2, softmax of (0.5, 0, -0.5) and its mirror image
    loss = Standardised(2.0, {})(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[6.0, 4.0, 2.0]]), labels(3)[:1], LATE)
    high, low = (math.exp(x) / (math.exp(0.5) + 1 + math.exp(-0.5)) for x in (0.5, -0.5))
    assert loss.tolist() == [pytest.approx(4 * (high - low) * 1.0, rel=1e-5)]  # sum of p (log p - log q): 1 and -1


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_it_is_kd_of_the_standardised_logits(temperature: float) -> None:
    student, expert = logits(10, 0), logits(10, 1)
    found = Standardised(temperature, {})(student, expert, labels(10), LATE)
    assert torch.equal(found, divergence(standardise(student), standardise(expert), temperature))


@given(scale=st.floats(0.05, 20), shift=st.floats(-20, 20))
def test_a_positive_affine_map_of_either_network_s_logits_changes_nothing(scale: float, shift: float) -> None:
    student, expert = logits(10, 0), logits(10, 1)
    wanted = Standardised(2.0, {})(student, expert, labels(10), LATE)
    for mapped in ((scale * student + shift, expert), (student, scale * expert + shift)):
        torch.testing.assert_close(Standardised(2.0, {})(*mapped, labels(10), LATE), wanted, rtol=1e-3, atol=1e-4)
