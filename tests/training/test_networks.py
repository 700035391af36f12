"""Networks from specs and from files of weights, and the precision that they compute in."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

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


def test_weights_for_another_number_of_classes_are_refused_naming_file_and_network(tmp_path: Path) -> None:
    weights = tmp_path / "brought.safetensors"
    safetensors.torch.save_file(new_network(network_spec("plain_cnn_2", classes=7), seed=1).state_dict(), weights)
    with pytest.raises(ValueError) as raised:
        load_network(network_spec("plain_cnn_2", classes=4), weights)
    message = str(raised.value)
    assert str(weights) in message
    assert "plain_cnn_2 with 4 classes, 1 channels at 16 pixels" in message
    assert "torch.Size([7" in message


def test_weights_of_another_network_are_refused_naming_what_is_missing(tmp_path: Path) -> None:
    weights = tmp_path / "brought.safetensors"
    safetensors.torch.save_file(nn.Linear(2, 4).state_dict(), weights)
    with pytest.raises(ValueError, match=r"brought\.safetensors do not fit plain_cnn_2 .*Missing key"):
        load_network(network_spec("plain_cnn_2"), weights)


@pytest.mark.parametrize("content", [b"", b"no weights at all", None])
def test_a_file_that_holds_no_weights_is_refused_by_name(content: bytes | None, tmp_path: Path) -> None:
    weights = tmp_path / "brought.safetensors"
    if content is not None:
        weights.write_bytes(content)
    with pytest.raises(ValueError, match=r"brought\.safetensors can't be read as safetensors"):
        load_network(network_spec("plain_cnn_2"), weights)
