"""Networks from specs and from artifacts, and the precision that they compute in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import safetensors.torch
import torch
from torch import nn

from orchestrator.training.networks import load_network, new_network
from orchestrator.training.precision import autocast, uses_bf16
from tests.training.examples import CPU, assert_same_weights, network_spec
from tests.training.networks import DROPOUT


def test_first_weights_are_a_function_of_the_seed() -> None:
    spec = network_spec("plain_cnn_2")
    first, again, other = (dict(new_network(spec, seed).state_dict()) for seed in (1, 1, 2))
    assert_same_weights(again, first)
    assert not torch.equal(other["0.weight"], first["0.weight"])


@pytest.mark.parametrize("name", ["plain_cnn_2", DROPOUT])
def test_weights_come_back_from_a_file(name: str, tmp_path: Path) -> None:
    network = new_network(network_spec(name), seed=1)
    safetensors.torch.save_file(network.state_dict(), tmp_path / "weights.safetensors")
    loaded = load_network(network_spec(name), tmp_path / "weights.safetensors")
    assert_same_weights(dict(loaded.state_dict()), dict(network.state_dict()))


@pytest.mark.parametrize(("precision", "wanted"), [("fp32", False), ("bf16", True)])
def test_a_precision_that_was_asked_for_is_used(precision: Literal["fp32", "bf16"], wanted: bool) -> None:
    assert uses_bf16(precision, CPU) is wanted
    with autocast(CPU, wanted):
        logits = nn.Linear(3, 2)(torch.zeros(1, 3))
    assert logits.dtype == (torch.bfloat16 if wanted else torch.float32)


def test_auto_is_the_same_precision_each_time() -> None:
    assert len({uses_bf16("auto", CPU) for _ in range(3)}) == 1
