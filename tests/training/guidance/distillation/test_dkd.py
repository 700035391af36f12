"""Decoupled distillation, held against numbers worked out by hand and against kd."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.training.guidance.distillation.base import StepContext
from orchestrator.training.guidance.distillation.dkd import Dkd, terms, warmup_weight
from orchestrator.training.guidance.losses import divergence
from tests.training.guidance.distillation.test_every_loss import LATE
from tests.training.guidance.logits import labels, logits


def log(*probabilities: float) -> torch.Tensor:
    """Logits of one image whose softmax at T = 1 has these probabilities."""
    return torch.tensor([[math.log(p) for p in probabilities]])


def test_an_image_worked_out_by_hand() -> None:
    # label 0. b: expert (1/2, 1/2), student (1/4, 3/4); among the others: expert (3/4, 1/4), student (1/3, 2/3)
    target_class, other_classes = terms(log(1 / 4, 1 / 4, 1 / 2), log(1 / 2, 3 / 8, 1 / 8), torch.tensor([0]), 1.0)
    assert target_class.tolist() == [pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3), rel=1e-5)]
    others = 0.75 * math.log(0.75 * 3) + 0.25 * math.log(0.25 * 3 / 2)
    assert other_classes.tolist() == [pytest.approx(others, rel=1e-5)]
    loss = Dkd(1.0, {"alpha": 2.0, "beta": 8.0})(
        log(1 / 4, 1 / 4, 1 / 2), log(1 / 2, 3 / 8, 1 / 8), torch.tensor([0]), LATE
    )
    assert loss.tolist() == [pytest.approx(2 * float(target_class) + 8 * others, rel=1e-5)]


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_with_alpha_1_and_beta_the_expert_s_doubt_of_the_label_it_is_kd_image_by_image(
    classes: int, temperature: float
) -> None:
    student, expert = logits(classes, 0), logits(classes, 1)
    target_class, other_classes = terms(student, expert, labels(classes), temperature)
    doubt = 1 - (expert / temperature).softmax(dim=1).gather(1, labels(classes)[:, None])[:, 0]
    wanted = divergence(student, expert, temperature)
    torch.testing.assert_close(target_class + doubt * other_classes, wanted, rtol=1e-3, atol=1e-4)


def test_of_two_classes_there_are_no_others_to_tell_apart() -> None:
    _, other_classes = terms(logits(2, 0), logits(2, 1), labels(2), 4.0)
    assert torch.equal(other_classes, torch.zeros(6))


def test_an_expert_that_is_sure_beyond_single_precision_still_teaches_what_the_others_are_like() -> None:
    expert = torch.tensor([[200.0, 3.0, 1.0]])  # 1 - p of the label is 0 in fp32, and with it the gradient of kd
    student = torch.tensor([[200.0, 1.0, 3.0]])
    _, other_classes = terms(student, expert, torch.tensor([0]), 1.0)
    p = 1 / (1 + math.exp(-2))
    assert other_classes.tolist() == [pytest.approx(2 * (2 * p - 1), rel=1e-5)]
    assert float(divergence(student, expert, 1.0)) == 0


class TestWarmUp:
    def test_the_weight_rises_by_equal_steps_to_1(self) -> None:
        rise = [warmup_weight(StepContext(step, 40), 0.1) for step in range(6)]
        assert rise == [pytest.approx(share) for share in (0.25, 0.5, 0.75, 1, 1, 1)]

    @given(steps=st.integers(1, 1000), warmup=st.floats(0, 1), step=st.integers(0, 999))
    def test_it_is_above_0_and_at_most_1_and_never_falls(self, steps: int, warmup: float, step: int) -> None:
        here, ahead = (warmup_weight(StepContext(min(step + more, steps - 1), steps), warmup) for more in (0, 1))
        assert 0 < here <= ahead <= 1
        assert warmup_weight(StepContext(steps - 1, steps), warmup) == 1

    def test_the_whole_loss_has_it(self) -> None:
        parameters = {"alpha": 1.0, "beta": 8.0, "warmup": 0.5}
        early, late = (
            Dkd(4.0, parameters)(logits(5, 0), logits(5, 1), labels(5), StepContext(step, 100)) for step in (9, 99)
        )
        torch.testing.assert_close(early, 0.2 * late)
