"""The file of a search stage's artifact, and the records of trials that a storage keeps beside its artifacts.

``search.json`` has all ``trials`` and the ``best`` of them. ``trials/<identity of a trial>.json`` below the storage is
the record of one finished trial, which later searches take over; ``trials/<identity of a search>.json`` is a list of
the trials of that search so far.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypedDict

from orchestrator.artifacts.reading import Files
from orchestrator.artifacts.store import Store

# Part of the identities of searches and of trials: raise one when the same spec comes to make other records.
VERSION = 3
TRIAL_VERSION = 3
SEARCH = "search.json"
FOLDER = "trials"

METRIC: Final = "validation_accuracy"
Config = dict[str, str | float]  # a point of the search's space


class Record(TypedDict, total=False):
    """One trial: a point, by its number, and what became of its training.

    ``status`` is ``finished``, ``stopped`` (early, or not promoted) or ``failed``, with ``error``. ``curve`` has the
    validation accuracy at each step that was measured, ``rungs`` that at the end of each of a point's trainings.
    """

    id: int
    identity: str
    config: Config
    status: str
    error: str
    validation_accuracy: float | None
    validation_loss: float
    steps: int
    seconds: float
    curve: list[Sequence[float]]
    rungs: list[Sequence[float]]


def write(folder: Path, trials: Sequence[Record], best: Record) -> None:
    """Write the artifact's file."""
    (folder / SEARCH).write_text(json.dumps({"trials": trials, "best": best}, indent=1))


def read_best_config(files: Files) -> Config:
    """Returns the settings of the best trial."""
    config: Config = files.json(SEARCH)["best"]["config"]
    return config


def store_trial(store: Store, identity: str, record: Record) -> None:
    """Store the record of a finished trial."""
    store.write_text(json.dumps(record), FOLDER, f"{identity}.json")


def find_trial(store: Store, identity: str) -> Record | None:
    """Returns the record of a finished trial, None where there is none."""
    text = store.read_text(FOLDER, f"{identity}.json")
    record: Record | None = json.loads(text) if text else None
    return record


def store_progress(store: Store, search: str, trials: Sequence[Record]) -> None:
    """Store the trials of a search so far, for the report."""
    store.write_text(json.dumps(trials), FOLDER, f"{search}.json")


def find_progress(store: Store, search: str) -> list[Record]:
    """Returns the trials of a search so far."""
    text = store.read_text(FOLDER, f"{search}.json")
    trials: list[Record] = json.loads(text) if text else []
    return trials
