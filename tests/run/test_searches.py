"""Searches of one run at once: the same as alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.pipeline.placement import Facts, Placement
from orchestrator.stages import search
from tests.run.conftest import Finished, Place, copy_of
from tests.run.jobs import job_of

pytestmark = pytest.mark.long

TIMES = ("seconds", "slot_seconds")
SEARCHES = {"kd": "search/kd", "ces_kd": "search"}  # the stage of each method
PLACEMENT = Placement("ray_tune", 3)


def test_searches_at_once_have_the_trials_bit_for_bit_that_they_have_alone(
    undisturbed: tuple[Place, Finished], make_place: Callable[[], Place], ray_address: str, cluster: None
) -> None:
    place = copy_of(undisturbed[0], make_place)  # with its ladder and scores
    shutil.rmtree(place.storage / "artifacts" / place.artifacts()["search"]["identity"])
    shutil.rmtree(place.storage / "trials")
    methods = list(SEARCHES)
    searching = {"trials": 3, "round_size": 3, "steps": 60, "methods": methods}
    place.recipe({"search": searching, "methods": methods, "seeds": [0]})
    finished = place.run(address=ray_address)
    assert finished.code == 0, finished.err[-3000:]
    report = place.report()
    stages = [stage for stage in report["stages"] if stage["kind"] == "search"]
    assert {stage["name"] for stage in stages} == set(SEARCHES.values())
    assert max(stage["start"] for stage in stages) < min(stage["end"] for stage in stages), "they were not at once"

    shutil.rmtree(place.storage / "trials")  # which would be taken over
    for method, name in SEARCHES.items():
        job = job_of(copy_of(place, make_place), name, PLACEMENT, Facts(part="student", method=method))
        search.run(job)
        alone, together = job.store.find(job.identity), report["searches"][method]["trials"]
        assert alone is not None and [trial["status"] for trial in together] == ["finished"] * 3
        assert without_times(together) == without_times(alone.results["trials"])


def without_times(trials: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns trials with their validation curves, without how long they took."""
    return [{key: value for key, value in trial.items() if key not in TIMES} for trial in trials]
