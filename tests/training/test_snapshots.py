"""Snapshots: the weights of a step, of which a kill loses none, and which change nothing in the training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from orchestrator.pipeline.specs import TrainSpec
from orchestrator.training.state import TrainingState
from tests.training.examples import (
    Keeper,
    Killed,
    assert_same_training,
    assert_same_weights,
    learn,
    optimizer,
    pacing,
    teaching,
    training,
)
from tests.training.networks import DROPOUT

STEPS = (2, 3, 8, 13)  # amid a pass, at the end of one, at a validation, and after the last whole pass
CASES: dict[str, TrainSpec] = {
    "labels": training(),
    "best": training(keep="best", optimizer=optimizer(learning_rate=0.3)),
    "dropout": training(DROPOUT, record_learned_step=True),
    "selected": training(guidance=teaching("selected"), curriculum=pacing("both")),  # several steps at once
}
EACH = pytest.mark.parametrize("case", CASES)


class EveryState(Keeper):
    """Keeps the weights of every state that it could have written a checkpoint of."""

    def __init__(self) -> None:
        super().__init__(between=True)
        self.seen: dict[int, dict[str, torch.Tensor]] = {}

    def checkpoint(self, state: Callable[[], bytes]) -> None:
        found = TrainingState.from_bytes(state())
        self.seen[found.step] = found.network


@EACH
def test_a_snapshot_has_the_weights_of_its_step(case: str) -> None:
    states = EveryState()
    trained = learn(CASES[case], states, snapshots=STEPS)
    assert sorted(trained.snapshots) == list(STEPS)
    compared = [step for step in STEPS if step in states.seen]
    assert compared
    for step in compared:
        assert_same_weights(trained.snapshots[step], states.seen[step])


@EACH
def test_snapshots_change_nothing_else(case: str) -> None:
    taken, plain = (learn(CASES[case], snapshots=steps) for steps in (STEPS, ()))
    assert plain.snapshots == {}
    assert_same_weights(taken.weights, plain.weights)
    assert taken.kept_step == plain.kept_step


@pytest.mark.parametrize(("step", "changes"), [(2, {"between": True}), (8, {}), (9, {"between": True}), (12, {})])
@EACH
def test_killed_and_resumed_a_training_ends_with_the_same_snapshots(
    case: str, step: int, changes: dict[str, Any]
) -> None:
    lost = Keeper(kill_at=step, **changes)
    with pytest.raises(Killed):
        learn(CASES[case], lost, snapshots=STEPS)
    resumed = learn(CASES[case], Keeper(lost.kept), snapshots=STEPS)
    assert_same_training(resumed, learn(CASES[case], snapshots=STEPS))


def test_a_checkpoint_without_a_snapshot_that_is_wanted_now_is_not_gone_on_from() -> None:
    lost = Keeper(kill_at=8)
    with pytest.raises(Killed):
        learn(CASES["labels"], lost)
    with pytest.warns(UserWarning, match="the checkpoint of step 8 has no snapshot of step 2; training starts anew"):
        again = learn(CASES["labels"], Keeper(lost.kept), snapshots=STEPS)
    assert_same_training(again, learn(CASES["labels"], snapshots=STEPS))
    later = learn(CASES["labels"], resumed := Keeper(lost.kept), snapshots=(13,))
    assert [row["step"] for row in resumed.rows] == [12, 14]  # it went on: that snapshot was still to come
    assert sorted(later.snapshots) == [13]
