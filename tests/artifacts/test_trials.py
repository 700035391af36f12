"""The file of a search, and the records of its trials, on each kind of storage."""

from __future__ import annotations

from pathlib import Path

from orchestrator.artifacts import trials
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Store
from orchestrator.artifacts.trials import TrialRecord

RECORD: TrialRecord = {
    "id": 0,
    "config": {"a": 0.5},
    "status": "finished",
    "validation_accuracy": 0.75,
    "steps": 30,
}
OTHER: TrialRecord = {**RECORD, "config": {"a": 0.1}}


def test_the_best_trial_s_settings_are_read_from_the_artifact(tmp_path: Path) -> None:
    trials.write(tmp_path, [RECORD, OTHER], RECORD)
    assert trials.read_best_config(FolderFiles(tmp_path)) == {"a": 0.5}


def test_a_stored_trial_is_found_by_its_identity(store: Store) -> None:
    assert trials.find_trial(store, "trial-0") is None
    trials.store_trial(store, "trial-0", RECORD)
    assert trials.find_trial(store, "trial-0") == RECORD


def test_a_search_that_goes_on_has_its_trials_so_far(store: Store) -> None:
    assert trials.find_progress(store, "search-0") == []
    trials.store_progress(store, "search-0", [RECORD])
    assert trials.find_progress(store, "search-0") == [RECORD]
