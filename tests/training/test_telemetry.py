"""Telemetry reported with each validation; never part of a result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from orchestrator.artifacts.trained import HistoryRow
from orchestrator.training.telemetry import EXPERT, telemetry
from tests.training.examples import Keeper, Killed, learn, pacing, teaching, training

SELECTED: dict[str, Any] = {"guidance": teaching("selected"), "curriculum": pacing("promote")}
KEPT: HistoryRow = {
    "step": 4, "training_loss": 1.0, "training_accuracy": 0.5, "validation_accuracy": 0.5, "validation_loss": 1.5,
    "learning_rate": 0.1, "seconds": 1.0,
}  # fmt: skip


def shares(row: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name.startswith(EXPERT)}


def test_the_history_holds_none_of_it() -> None:
    keeper = Keeper()
    history = learn(training(**SELECTED), keeper).history
    for row, reported in zip(history, keeper.rows, strict=True):
        assert row.items() <= reported.items()
        assert not {"images_per_second", "waiting_for_data", "kept_validation_accuracy"} & row.keys()


def test_experts_share_the_images_since_the_last_validation() -> None:
    found = telemetry(KEPT, ["small", "large"], np.array([[6, 0], [1, 3]]), images=10, seconds=2.0, waiting=0.25)
    assert shares(found) == {"experts/small": 0.7, "experts/large": 0.3}
    assert (found["images_per_second"], found["waiting_for_data"]) == (5.0, 0.25)


def test_a_training_without_a_curriculum_has_no_shares() -> None:
    assert shares(telemetry(KEPT, ["only"], np.zeros((1, 1), np.int64), 10, 1.0, 0.0)) == {}


def test_the_largest_experts_come_in_last_under_promote() -> None:
    keeper = Keeper()
    learn(training(**SELECTED), keeper)
    reported = [list(shares(row).values()) for row in keeper.rows]
    np.testing.assert_allclose([sum(row) for row in reported], 1.0)
    assert reported[0][-1] < reported[-1][-1]


def test_the_weights_kept_are_the_best_so_far_or_the_last() -> None:
    for keep, choose in (("best", max), ("last", lambda seen: seen[-1])):
        keeper = Keeper()
        history = learn(training(keep=keep), keeper).history
        seen = [row["validation_accuracy"] for row in history]
        wanted = [choose(seen[: count + 1]) for count in range(len(seen))]
        assert [row["kept_validation_accuracy"] for row in keeper.rows] == wanted


@pytest.mark.parametrize(("step", "between"), [(8, False), (7, True)])
def test_a_resumed_training_reports_the_same_shares(step: int, between: bool) -> None:
    whole, killed = Keeper(), Keeper(kill_at=step, between=between)
    learn(training(**SELECTED), whole)
    try:
        learn(training(**SELECTED), killed)
    except Killed:
        resumed = Keeper(killed.kept)
        learn(training(**SELECTED), resumed)
    assert [shares(row) for row in killed.rows + resumed.rows] == [shares(row) for row in whole.rows]
