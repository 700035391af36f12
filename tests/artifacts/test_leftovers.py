"""Checkpoints of trainings that have ended: removed at the end of a run, others kept."""

from __future__ import annotations

from pathlib import Path

from orchestrator.artifacts.leftovers import drop_leftovers
from orchestrator.artifacts.store import Store
from tests.artifacts.stores import DownStore


def test_checkpoints_of_committed_trainings_are_removed_and_those_of_unfinished_ones_kept(store: Store) -> None:
    store.write_checkpoint("train-done", b"state")
    store.write_checkpoint("train-unfinished", b"state")
    drop_leftovers(store, ["train-done", "train-without-checkpoint"])
    assert store.read_checkpoint("train-done") is None
    assert store.read_checkpoint("train-unfinished") == b"state"


def test_a_storage_without_checkpoints_is_left_as_it_is(store: Store) -> None:
    drop_leftovers(store, ["train-done"])
    assert store.read_checkpoint("train-done") is None


def test_a_storage_that_does_not_answer_ends_no_run(tmp_path: Path) -> None:
    drop_leftovers(DownStore(tmp_path), ["train-done"])
