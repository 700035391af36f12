"""Networks that torch.compile makes code for, on the CPU; ``test_gpu.py`` has those on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orchestrator.pipeline.specs import TrainSpec
from orchestrator.training.compilation import compile_network
from tests.training.examples import (
    Keeper,
    Killed,
    assert_same_training,
    learn,
    optimizer,
    pacing,
    teaching,
    training,
)

compiles = pytest.mark.long


@pytest.fixture
def spec() -> TrainSpec:
    gentle = optimizer(learning_rate=1e-3)
    return training(guidance=teaching("selected"), curriculum=pacing("both"), optimizer=gentle, compile=True)


@compiles
def test_a_compiled_training_is_close_to_one_that_is_not(spec: TrainSpec) -> None:
    found, wanted = learn(spec), learn(spec.model_copy(update={"compile": False}))
    assert list(found.weights) == list(wanted.weights)
    for name, value in wanted.weights.items():
        torch.testing.assert_close(found.weights[name], value, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(found.assignment_counts, wanted.assignment_counts)


@compiles
def test_a_compiled_training_that_was_killed_goes_on_to_the_same_weights(spec: TrainSpec) -> None:
    lost = Keeper(kill_at=8)
    with pytest.raises(Killed):
        learn(spec, lost)
    assert_same_training(learn(spec, Keeper(lost.kept)), learn(spec))


def test_without_a_compiler_the_field_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match=r"training\.compile: no C\+\+ compiler was found"):
        compile_network(torch.nn.Linear(1, 1))


def test_a_recipe_that_does_not_ask_for_it_has_the_identity_that_it_had() -> None:
    assert "compile" not in training().model_dump() and training(compile=True).model_dump()["compile"] is True
