"""Snapshots in whole runs: a ladder that is one teacher's past, and a cached teacher that is given what it lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.artifacts.trained import WEIGHTS, snapshot_file
from tests.run.conftest import Place, weights_of

pytestmark = [pytest.mark.long, pytest.mark.thorough]

TEACHER, SHARES = "plain_cnn_6", (0.2, 0.5)
SMALL: dict[str, Any] = {
    "ladder": {"networks": [TEACHER, "plain_cnn_4", "plain_cnn_2"]},
    "distillation": {"views": 3, "source": "cached"},
    "difficulty": {"scorer": "mean_loss"},
    "search": {"trials": 0},
    "methods": ["kd"],
    "seeds": [0],
}


def made_anew(place: Place) -> set[str]:
    return {stage["name"] for stage in place.report()["stages"] if not stage["reused"]}


def test_a_cached_teacher_is_trained_once_more_for_its_snapshots_and_nothing_that_it_taught_is(
    make_place: Callable[[], Place], ray_address: str
) -> None:
    place = make_place()
    place.recipe(SMALL)
    assert place.run(address=ray_address).code == 0
    before, weights = place.artifacts(), weights_of(place)

    # The same teacher with its past in place of the TA, and a search over when it is taken.
    past = [{"name": TEACHER, "at": share} for share in reversed(SHARES)]
    search = {"trials": 2, "round_size": 2, "methods": ["kd_early"], "space": {"early": [*SHARES, 1.0]}}
    place.recipe(
        SMALL | {"ladder": {"networks": [TEACHER, *past, "plain_cnn_2"]}, "search": search,
                 "methods": ["labels", "kd_early", "ces_kd"]}
    )  # fmt: skip
    finished = place.run(address=ray_address)
    assert finished.code == 0, finished.err[-3000:]
    assert f"train/{TEACHER} has no snapshots of step 6, 15: it is trained once more" in finished.out

    report, after = place.report(), place.artifacts()
    teacher = after[f"train/{TEACHER}"]
    assert teacher["identity"] == before[f"train/{TEACHER}"]["identity"]
    assert teacher["files"][WEIGHTS] == before[f"train/{TEACHER}"]["files"][WEIGHTS]
    for share, step in zip(SHARES, (6, 15), strict=True):
        record = after[f"snapshot/{TEACHER}@{share}"]
        assert record["files"][WEIGHTS] == teacher["files"][snapshot_file(step)] != teacher["files"][WEIGHTS]
    assert [row["name"] for row in report["networks"]] == [
        TEACHER, *(f"{TEACHER}@{share}" for share in reversed(SHARES)), "plain_cnn_2"
    ]  # fmt: skip
    assert report["experts_by_stratum"]["experts"] == [*(f"{TEACHER}@{share}" for share in SHARES), TEACHER]
    assert all(0 <= row["test_accuracy"] <= 1 for row in report["networks"] + report["methods"])
    trials = report["searches"]["kd_early"]["trials"]
    assert {trial["config"]["early"] for trial in trials} <= {*SHARES, 1.0}
    (early,) = (row["taught_with"] for row in report["methods"] if row["method"] == "kd_early")
    assert early["early"] == report["searches"]["kd_early"]["best"]["config"]["early"]

    # Back to the first recipe: it is all there, with the weights that it had.
    place.recipe(SMALL)
    assert "nothing left to do" in place.run(address=ray_address).out
    assert made_anew(place) == set() and weights_of(place) == weights
