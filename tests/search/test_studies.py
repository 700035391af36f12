"""A search's file as Optuna reads it, in the two lines that docs/tensorboard.md shows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from orchestrator.artifacts.trials import METRIC, TrialRecord
from orchestrator.recipe.search_space import SpaceSpec
from orchestrator.search import studies
from tests.examples import ROOT
from tests.search.test_proposals import played, search, student

PAGE = (ROOT / "docs" / "tensorboard.md").read_text()
TWO_LINES = PAGE.partition("```python\n")[2].partition("```")[0]
FACTS = {"identity": "search-0", "recipe": "tiny"}


def study_of(folder: Path, space: SpaceSpec, trials: list[TrialRecord]) -> optuna.Study:
    path = folder / "study.log"
    studies.write(path, "ces_kd", FACTS, space, trials, student().guidance.experts)
    names: dict[str, Any] = {}
    exec(TWO_LINES.replace("study.log", str(path)), names)
    study: optuna.Study = names["study"]
    return study


@pytest.mark.parametrize("changes", [{}, {"scheduler": "halving", "rungs": (0.1, 0.5)}], ids=str)
@pytest.mark.parametrize(
    "space", [{}, {"learning_rate": [0.001, 1.0], "temperature": 4.0}, {"experts": "any"}], ids=str
)
def test_every_trial_of_a_search_is_there_with_its_settings_value_and_attributes(
    changes: dict[str, Any], space: dict[str, Any], tmp_path: Path
) -> None:
    spec = search(space=SpaceSpec.from_plain(space), **changes)
    trials = played(spec)[0].trials()
    study = study_of(tmp_path, spec.space, trials)
    assert study.study_name == "ces_kd" and study.user_attrs == {"method": "ces_kd", **FACTS}
    assert study.metric_names == [METRIC] and study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert [trial.params for trial in study.trials] == [record["config"] for record in trials]
    assert [trial.value for trial in study.trials] == [record[METRIC] for record in trials]
    states = {"finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED}
    assert [trial.state for trial in study.trials] == [states[record["status"]] for record in trials]
    for trial, record in zip(study.trials, trials, strict=True):
        assert trial.user_attrs["method"] == "ces_kd" and trial.user_attrs["trial"] == record["id"]
        assert trial.intermediate_values == dict(record["rungs"])
        assert trial.duration is not None and trial.duration.total_seconds() == pytest.approx(record["seconds"])


def test_a_trial_has_what_it_had_at_each_validation_and_a_failed_one_its_cause(tmp_path: Path) -> None:
    good: TrialRecord = {
        "id": 0, "config": {"temperature": 3.0}, "status": "finished", METRIC: 0.7, "steps": 20,
        "identity": "trial-1", "curve": [(10, 0.6), (20, 0.7)], "rungs": [(20, 0.7)],
    }  # fmt: skip
    failed: TrialRecord = {"id": 1, "config": {}, "status": "failed", METRIC: None, "steps": 0, "error": "diverged"}
    first, second = study_of(tmp_path, SpaceSpec(), [good, failed]).trials
    assert first.intermediate_values == {10: 0.6, 20: 0.7} and first.user_attrs["identity"] == "trial-1"
    assert second.state == TrialState.FAIL and second.value is None and second.user_attrs["error"] == "diverged"


def test_reading_changes_no_byte_of_the_file(tmp_path: Path) -> None:
    study = study_of(tmp_path, SpaceSpec(), played(search())[0].trials())
    before = hashlib.sha256((tmp_path / "study.log").read_bytes()).hexdigest()
    assert len(study.trials_dataframe()) == 12 and study.best_trial.value is not None
    assert hashlib.sha256((tmp_path / "study.log").read_bytes()).hexdigest() == before
    assert [path.name for path in tmp_path.iterdir()] == ["study.log"]
