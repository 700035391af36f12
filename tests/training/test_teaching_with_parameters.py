"""Teaching with parameters: trained, checkpointed and resumed bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from orchestrator.pipeline.specs import TrainSpec
from orchestrator.training.loop import Trained
from orchestrator.training.state import TrainingState
from tests.training.examples import (
    Keeper,
    Killed,
    assert_same_training,
    assert_same_weights,
    learn,
    optimizer,
    teaching,
    training,
)
from tests.training.hints import FeatureHints, hints_of

CASES: dict[str, dict[str, Any]] = {
    "sgd": {},
    "adamw": {"optimizer": optimizer(name="adamw", learning_rate=1e-3)},
    "bf16": {"precision": "bf16"},
}


def spec_of(case: str) -> TrainSpec:
    return training(guidance=teaching("single", experts=["large"]), **CASES[case])


def taught(spec: TrainSpec, keeper: Keeper) -> tuple[Trained, FeatureHints]:
    it = hints_of(spec)
    return learn(spec, keeper, taught_by=it), it


def projection_of(keeper: Keeper) -> Tensor:
    assert keeper.kept is not None
    return TrainingState.from_bytes(keeper.kept).teaching["projection.weight"]


def test_its_parameters_are_trained_and_so_is_the_network_by_its_loss() -> None:
    spec = spec_of("sgd")
    trained, it = taught(spec, kept := Keeper())
    start = hints_of(spec)
    torch.manual_seed(spec.seed)
    learn(spec.model_copy(update={"steps": 1, "optimizer": optimizer(learning_rate=1e-30)}), taught_by=start)
    assert not torch.allclose(it.projection.weight, start.projection.weight)
    assert torch.equal(projection_of(kept), it.projection.weight)
    single = learn(spec)
    assert any(not torch.equal(trained.weights[name], single.weights[name]) for name in single.weights)


def test_the_artifact_has_the_network_alone() -> None:
    trained, _ = taught(spec_of("sgd"), Keeper())
    assert trained.weights.keys() == learn(training(steps=1)).weights.keys()


@pytest.mark.parametrize(("case", "step"), [("sgd", 4), ("sgd", 8), ("sgd", 14), ("adamw", 8), ("bf16", 8)])
def test_killed_at_a_validation_and_resumed_it_ends_in_the_same_training_and_parameters(case: str, step: int) -> None:
    undisturbed, _ = taught(spec_of(case), whole := Keeper())
    with pytest.raises(Killed):
        taught(spec_of(case), lost := Keeper(kill_at=step))
    resumed, it = taught(spec_of(case), again := Keeper(lost.kept))
    assert_same_training(resumed, undisturbed)
    assert torch.equal(it.projection.weight, projection_of(whole))
    assert torch.equal(projection_of(again), projection_of(whole))


def test_its_first_parameters_are_a_function_of_the_seed() -> None:
    def first(seed: int) -> dict[str, Tensor]:
        spec = training(guidance=teaching("single"), steps=1, optimizer=optimizer(learning_rate=1e-30), seed=seed)
        return dict(taught(spec, Keeper())[1].state_dict())

    assert_same_weights(first(3), first(3))
    assert not torch.equal(first(3)["projection.weight"], first(4)["projection.weight"])


def test_the_projected_features_come_near_to_the_experts() -> None:
    spec = spec_of("sgd").model_copy(
        update={"steps": 60, "augmentation": "none", "optimizer": optimizer(learning_rate=0.02)}
    )
    losses = [row["training_loss"] for row in taught(spec, Keeper())[0].history]
    assert losses[-1] < 0.5 * losses[0]
