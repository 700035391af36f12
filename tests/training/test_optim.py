"""The learning-rate schedule, and an optimiser's state through a checkpoint."""

from __future__ import annotations

from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from orchestrator.training import optim
from orchestrator.training.networks import new_network
from tests.training.examples import network_spec, optimizer

SCHEDULES = ["cosine", "steps", "constant"]


def rates(steps: int, **changes: Any) -> list[float]:
    spec = optimizer(learning_rate=0.2, **changes)
    return [optim.learning_rate(spec, step, steps) for step in range(steps)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_it_rises_evenly_over_the_warm_up_to_the_highest_rate(schedule: str) -> None:
    assert rates(100, schedule=schedule, warmup=0.05)[:5] == pytest.approx([0.04, 0.08, 0.12, 0.16, 0.2])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_without_warm_up_it_starts_at_the_highest_rate(schedule: str) -> None:
    assert rates(100, schedule=schedule, warmup=0.0)[0] == 0.2


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(steps=st.integers(1, 300), warmup=st.floats(0, 0.99))
def test_it_is_always_above_zero_at_most_the_highest_and_never_rises_after_the_warm_up(
    schedule: str, steps: int, warmup: float
) -> None:
    found = rates(steps, schedule=schedule, warmup=warmup)
    assert all(0 < rate <= 0.2 * (1 + 1e-12) for rate in found)
    top = found.index(max(found))
    assert found[top:] == sorted(found[top:], reverse=True)
    assert found[:top] == sorted(found[:top])


def test_cosine_is_half_way_down_half_way_and_falls_to_nearly_zero() -> None:
    found = rates(1000, schedule="cosine", warmup=0.0)
    assert found[500] == pytest.approx(0.1)
    assert found[-1] < 0.2 * 1e-5


def test_steps_multiplies_by_the_decay_at_each_milestone() -> None:
    found = rates(100, schedule="steps", warmup=0.0, milestones=(0.5, 0.75), decay=0.1)
    assert [found[step] for step in (49, 50, 74, 75, 99)] == pytest.approx([0.2, 0.02, 0.02, 0.002, 0.002])


def test_constant_stays() -> None:
    assert set(rates(100, schedule="constant", warmup=0.0)) == {0.2}


OPTIMIZERS = {
    "sgd": optimizer(name="sgd"),
    "sgd without momentum": optimizer(name="sgd", momentum=0.0),
    "sgd without Nesterov": optimizer(name="sgd", nesterov=False),
    "adamw": optimizer(name="adamw"),
}


def step(network: nn.Module, optimiser: torch.optim.Optimizer, number: int) -> None:
    """One step on a gradient that is a function of the number alone."""
    generator = torch.Generator().manual_seed(number)
    for parameter in network.parameters():
        parameter.grad = torch.empty_like(parameter).copy_(torch.randn(parameter.shape, generator=generator))
    optimiser.step()


def network_in(memory_format: torch.memory_format) -> nn.Module:
    return new_network(network_spec("plain_cnn_4"), seed=0).to(memory_format=memory_format)


def through_a_file(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    contiguous = {name: value.detach().contiguous() for name, value in tensors.items()}
    return safetensors.torch.load(safetensors.torch.save(contiguous))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("spec", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("steps_before", [0, 3])
def test_the_steps_after_a_checkpoint_are_bitwise_those_without_one(
    spec: optim.OptimizerSpec, memory_format: torch.memory_format, steps_before: int
) -> None:
    network = network_in(memory_format)
    optimiser = optim.build(spec, network.parameters())
    for number in range(steps_before):
        step(network, optimiser, number)
    resumed = network_in(memory_format)
    resumed.load_state_dict(through_a_file(dict(network.state_dict())))
    resumed_optimiser = optim.build(spec, resumed.parameters())
    optim.load_state_tensors(resumed_optimiser, through_a_file(optim.state_tensors(optimiser)))
    for number in range(steps_before, steps_before + 2):
        step(network, optimiser, number)
        step(resumed, resumed_optimiser, number)
        for one, other in zip(network.parameters(), resumed.parameters(), strict=True):
            assert torch.equal(one, other)
            assert one.stride() == other.stride()
    one_state, other_state = optim.state_tensors(optimiser), optim.state_tensors(resumed_optimiser)
    assert one_state.keys() == other_state.keys()
    assert all(torch.equal(one_state[name], other_state[name]) for name in one_state)


def test_sgd_takes_the_steps_that_torch_documents() -> None:
    spec = optimizer(learning_rate=0.1, momentum=0.9, nesterov=False, weight_decay=0.01)
    network = nn.Linear(3, 2)
    weight, velocity = network.weight.detach().clone(), torch.zeros(2, 3)
    optimiser = optim.build(spec, network.parameters())
    for number in range(4):
        step(network, optimiser, number)
        gradient = network.weight.grad
        assert gradient is not None
        velocity = 0.9 * velocity + gradient + 0.01 * weight
        weight = weight - 0.1 * velocity
    torch.testing.assert_close(network.weight.detach(), weight)


def test_frozen_parameters_are_left_alone() -> None:
    network = nn.Linear(3, 2)
    network.bias.requires_grad_(False)
    before = network.bias.clone()
    optimiser = optim.build(optimizer(name="adamw"), network.parameters())
    step(network, optimiser, 0)
    assert torch.equal(network.bias, before)
