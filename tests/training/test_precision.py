"""Precision of a training: as requested, or as measured to be faster."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.recipe.choices import OptimizerSpec
from orchestrator.training import precision
from orchestrator.training.precision import StepTimes, autocast, kind_of_machine, measure

CPU = torch.device("cpu")
NETWORK = NetworkSpec(name="plain_cnn_2", classes=4, channels=1, image_size=8)


@pytest.mark.parametrize("bf16", [False, True])
def test_a_forward_pass_computes_in_the_precision_that_is_asked_for(bf16: bool) -> None:
    with autocast(CPU, bf16):
        logits = nn.Linear(3, 2)(torch.zeros(1, 3))
    assert logits.dtype == (torch.bfloat16 if bf16 else torch.float32)


@pytest.mark.parametrize(
    ("fp32", "bf16", "wanted"), [(1.0, 0.5, "bf16"), (1.0, 0.97, "fp32"), (1.0, 1.0, "fp32"), (1.0, 1.35, "fp32")]
)
def test_bf16_is_chosen_only_where_it_clearly_saves_time(fp32: float, bf16: float, wanted: str) -> None:
    assert StepTimes(fp32, bf16, batch_size=8, rounds=3).faster == wanted


def test_both_precisions_are_timed_in_turns_on_whole_batches_where_those_are_quick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "SECONDS", 0.0)
    monkeypatch.setattr(precision, "LONGEST_STEP", 60.0)
    found = measure(NETWORK, OptimizerSpec(), 24, CPU)
    assert found.fp32 > 0 and found.bf16 > 0
    assert found.batch_size == 24 and found.rounds == precision.LEAST_ROUNDS


def test_a_step_that_takes_long_is_timed_on_fewer_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "SECONDS", 0.0)
    monkeypatch.setattr(precision, "LONGEST_STEP", 0.0)
    assert measure(NETWORK, OptimizerSpec(), 4096, CPU).batch_size == precision.SMALLEST_BATCH


def test_the_measurement_leaves_the_random_generator_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "SECONDS", 0.0)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    measure(NETWORK, OptimizerSpec(), 4, CPU)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_machine_is_named() -> None:
    assert kind_of_machine(CPU).strip()
