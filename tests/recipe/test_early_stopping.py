"""The table of early-stopping schedulers: what a search, and Ray Tune, make of each row."""

from __future__ import annotations

import pytest

from orchestrator.recipe.early_stopping import SCHEDULERS
from orchestrator.recipe.schema import Search
from orchestrator.stages.search import tune_scheduler
from orchestrator.stages.searcher import stopping
from tests.search.test_proposals import search

EACH = pytest.mark.parametrize("name", SCHEDULERS)


@EACH
def test_a_recipe_may_name_it_and_its_reference_says_what_it_does(name: str) -> None:
    assert Search(scheduler=name).scheduler == name
    assert f"{name}: {SCHEDULERS[name].words}" in str(Search.model_fields["scheduler"].description) or name == "none"


@EACH
def test_ray_tune_has_the_scheduler_that_stops_trials_midway(name: str) -> None:
    found = tune_scheduler(search(scheduler=name))
    assert (found is None) == (stopping(search(scheduler=name)) is None)


@EACH
def test_only_a_scheduler_with_rungs_adds_shorter_trainings(name: str) -> None:
    spec = search(scheduler=name, rungs=(0.25,))
    assert spec.rung_steps == ((100, 400) if SCHEDULERS[name].has_rungs else (400,))


def test_asha_lets_every_trial_run_a_quarter_of_its_steps() -> None:
    found = SCHEDULERS["asha"].tune
    assert found is not None
    assert found.arguments(400) == {"max_t": 400, "grace_period": 100}
    assert found.arguments(3)["grace_period"] == 1
