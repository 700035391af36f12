"""Calibration error and fidelity, against values by hand and what must hold of all logits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from orchestrator.training.fidelity import BINS, CalibrationSums, Fidelity, FidelitySums

CPU = torch.device("cpu")


def logits_of(probabilities: list[list[float]]) -> Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).log()


def error_of(logits: Tensor, labels: Tensor, batch: int = 1000) -> float:
    sums = CalibrationSums(CPU)
    for each, its in zip(logits.split(batch), labels.split(batch), strict=True):
        sums.add(each, its)
    return sums.error()


def random_logits(seed: int, images: int = 40, classes: int = 5) -> Tensor:
    return 3 * torch.randn(images, classes, generator=torch.Generator().manual_seed(seed))


# -- calibration -------------------------------------------------------------------------------------------------


def test_the_calibration_error_is_the_mean_distance_of_accuracy_and_confidence_by_bin() -> None:
    # Bin (0.8, 0.8667]: confidences 0.85 and 0.81, one right: |1 - 1.66| of sums. Bin (0.6, 0.6667]: 0.65, right.
    logits = logits_of([[0.85, 0.15], [0.19, 0.81], [0.65, 0.35]])
    assert error_of(logits, torch.tensor([0, 0, 0])) == pytest.approx((0.66 + 0.35) / 3)


def test_a_confidence_on_a_border_belongs_to_the_bin_below_it() -> None:
    # 0.6 = 9 / 15 closes the ninth bin; with 0.65, which is in the tenth, it would cancel out.
    logits = logits_of([[0.6 - 1e-12, 0.4 + 1e-12], [0.65, 0.35]])
    assert error_of(logits, torch.tensor([0, 1])) == pytest.approx((0.4 + 0.65) / 2)


def test_a_network_that_is_right_as_often_as_it_is_sure_has_no_error() -> None:
    logits = logits_of([[0.75, 0.25]] * 4)
    assert error_of(logits, torch.tensor([0, 0, 0, 1])) == pytest.approx(0.0)
    assert error_of(logits_of([[1.0, 1e-300]]), torch.tensor([1])) == pytest.approx(1.0)


@given(st.integers(0, 1000), st.integers(1, 40))
def test_the_error_is_a_share_and_does_not_depend_on_the_batches(seed: int, batch: int) -> None:
    logits, labels = random_logits(seed), torch.arange(40) % 5
    found = error_of(logits, labels)
    assert 0 <= found <= 1
    assert error_of(logits, labels, batch) == pytest.approx(found)
    assert error_of(logits - 100, labels) == pytest.approx(found, abs=1e-4)


def test_a_fresh_network_of_many_classes_falls_into_the_first_bin() -> None:
    sums = CalibrationSums(CPU)
    sums.add(torch.zeros(3, 100), torch.zeros(3, dtype=torch.int64))
    assert sums.sums[0].tolist() == [3] + [0] * (BINS - 1)


# -- fidelity ----------------------------------------------------------------------------------------------------


def fidelity_of(student: Tensor, expert: Tensor) -> Fidelity:
    sums = FidelitySums(CPU)
    sums.add(student, expert)
    return sums.result()


def test_agreement_and_divergence_are_those_computed_by_hand() -> None:
    expert, student = logits_of([[0.8, 0.2], [0.5, 0.5 + 1e-9]]), logits_of([[0.5, 0.5 - 1e-9], [0.2, 0.8]])
    found = fidelity_of(student, expert)
    first = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    second = 0.5 * math.log(0.5 / 0.2) + 0.5 * math.log(0.5 / 0.8)
    assert found["agreement"] == 1.0 and found["kl_t1"] == pytest.approx((first + second) / 2, abs=1e-6)
    # At T = 4 probabilities are as p^(1/4): 0.8 and 0.2 become 0.585786 and 0.414214.
    soft = 0.8**0.25 / (0.8**0.25 + 0.2**0.25)
    first = soft * math.log(soft / 0.5) + (1 - soft) * math.log((1 - soft) / 0.5)
    second = 0.5 * math.log(0.5 / soft) + 0.5 * math.log(0.5 / (1 - soft))
    assert soft == pytest.approx(0.585786, abs=1e-6)
    assert found["kl_t4"] == pytest.approx((first + second) / 2, abs=1e-6)


def test_half_of_the_predictions_agree() -> None:
    student, expert = torch.tensor([[2.0, 1.0], [0.0, 1.0]]), torch.tensor([[5.0, 1.0], [1.0, 0.0]])
    assert fidelity_of(student, expert)["agreement"] == 0.5


@given(st.integers(0, 1000))
def test_the_divergence_is_none_from_itself_and_never_negative(seed: int) -> None:
    one, two = random_logits(seed), random_logits(seed + 1)
    assert fidelity_of(one, one) == {"agreement": 1.0, "kl_t1": 0.0, "kl_t4": 0.0}
    near, far, shifted = fidelity_of(one, one + 1e-4 * two), fidelity_of(one, two), fidelity_of(one, two - 8)
    assert near["kl_t1"] >= 0 and near["kl_t4"] >= 0
    assert far["kl_t1"] > far["kl_t4"] > 0
    assert shifted == pytest.approx(far, rel=1e-4)


@given(st.integers(0, 1000), st.integers(1, 40))
def test_fidelity_does_not_depend_on_the_batches(seed: int, batch: int) -> None:
    one, two = random_logits(seed), random_logits(seed + 1)
    whole, parts = FidelitySums(CPU), FidelitySums(CPU)
    whole.add(one, two)
    for student, expert in zip(one.split(batch), two.split(batch), strict=True):
        parts.add(student, expert)
    assert parts.result() == pytest.approx(whole.result())
