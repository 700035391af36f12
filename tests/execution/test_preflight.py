"""Checks before anything trains."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.artifacts.store import Store
from orchestrator.execution.preflight import check_warm_start
from orchestrator.recipe.schema import RecipeError
from tests.examples import make_artifacts, planned


def test_a_search_may_learn_from_an_earlier_one_over_the_same_artifacts_and_from_no_other(tmp_path: Path) -> None:
    store, before = Store(str(tmp_path)), planned()
    make_artifacts(before, store)
    search = before.searches["ces_kd"].identity
    check_warm_start(planned(f"search.warm_start=[{search}]", "search.trials=9"), store)
    with pytest.raises(RecipeError, match=r"search.warm_start: search-0 is not in the storage"):
        check_warm_start(planned("search.warm_start=[search-0]"), store)
    for other, overrides in ((search, ["ladder.seed=9"]), (before.ladder[0].stage.identity, [])):
        with pytest.raises(RecipeError, match=f"search.warm_start: {other} was made over other data"):
            check_warm_start(planned(f"search.warm_start=[{other}]", *overrides), store)
