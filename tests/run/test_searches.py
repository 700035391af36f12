"""Several searches of one run at once: the same as alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from tests.run.conftest import TINY, Finished, Place, copy_of

pytestmark = pytest.mark.long

TIMES = ("seconds", "slot_seconds")
METHODS = ["kd", "kd_smallest", "ces_kd"]


def trials_of(place: Place) -> dict[str, list[dict[str, Any]]]:
    """Every search's trials with their validation curves, without how long they took."""
    return {
        method: [{key: value for key, value in trial.items() if key not in TIMES} for trial in search["trials"]]
        for method, search in place.report()["searches"].items()
    }


def test_searches_at_once_have_the_trials_bit_for_bit_that_they_have_one_after_another(
    undisturbed: tuple[Place, Finished], make_place: Callable[[], Place], ray_address: str
) -> None:
    def run(methods: list[str]) -> dict[str, list[dict[str, Any]]]:
        place = copy_of(undisturbed[0], make_place)  # with its ladder and scores
        shutil.rmtree(place.storage / "trials")
        search = {"trials": 3, "round_size": 3, "steps": 60}
        place.recipe({"search": {**TINY["search"], **search, "methods": methods}, "methods": METHODS, "seeds": [0]})
        finished = place.run(address=ray_address)
        assert finished.code == 0, finished.err[-3000:]
        stages = [stage for stage in place.report()["stages"] if stage["kind"] == "search"]
        assert len(stages) == len(methods)
        latest_start, first_end = max(item["start"] for item in stages), min(item["end"] for item in stages)
        assert latest_start < first_end  # or they were not at it together
        return trials_of(place)

    together = run(METHODS)
    assert {method: [trial["status"] for trial in trials] for method, trials in together.items()} == dict.fromkeys(
        METHODS, ["finished"] * 3
    )
    assert together == run(["kd"]) | run(["kd_smallest"]) | run(["ces_kd"])
