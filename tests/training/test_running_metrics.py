"""Metrics that a training accumulates between two validations."""

from __future__ import annotations

import math

import pytest
import torch

from orchestrator.training.running_metrics import RunningMetrics
from orchestrator.training.world import World

CPU = torch.device("cpu")


def test_loss_and_accuracy_are_means_over_images_however_unequal_the_batches() -> None:
    sums = RunningMetrics(CPU)
    sums.add(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, False]), step=0)
    sums.add(torch.tensor([6.0]), torch.tensor([True]), step=1)
    read = sums.read(World())
    assert (read.images, read.loss, read.accuracy, read.diverged_at) == (4, 3.0, 0.5, None)


def test_reading_begins_anew() -> None:
    sums = RunningMetrics(CPU)
    sums.add(torch.tensor([math.nan]), torch.tensor([False]), step=3)
    sums.read(World())
    sums.add(torch.tensor([2.0]), torch.tensor([True]), step=4)
    read = sums.read(World())
    assert (read.images, read.loss, read.accuracy, read.diverged_at) == (1, 2.0, 1.0, None)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_the_first_step_whose_loss_was_not_finite_is_named(bad: float) -> None:
    sums = RunningMetrics(CPU)
    for step, loss in enumerate([1.0, bad, 1.0, bad]):
        sums.add(torch.tensor([loss]), torch.tensor([True]), step)
    assert sums.read(World()).diverged_at == 1
