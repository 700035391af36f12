"""Networks from specs and from artifacts, and their precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from orchestrator.training.networks import load_network, new_network
from tests.training.examples import assert_same_weights, network_spec
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
