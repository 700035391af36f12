"""The file of a search stage's artifact, and the records of trials that a storage keeps beside its artifacts.

``search.json`` has all ``trials`` and the ``best`` of them. ``trials/<identity of a trial>.json`` below the storage is
the record of one finished trial, which later searches take over; ``trials/<identity of a search>.json`` is a list of
the trials of that search so far.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.artifacts.reading import Files
from orchestrator.artifacts.store import Store

# Part of the identities of searches and of trials: raise one when the same spec comes to make other records.
VERSION = 3
TRIAL_VERSION = 3
SEARCH = "search.json"
FOLDER = "trials"

Record = dict[str, Any]  # of a trial: its number, config, status, measured values and curve


def write(folder: Path, trials: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> None:
    """Write the artifact's file."""
    (folder / SEARCH).write_text(json.dumps({"trials": trials, "best": best}, indent=1))


def read_best_config(files: Files) -> dict[str, Any]:
    """Returns the settings of the best trial."""
    config: dict[str, Any] = files.json(SEARCH)["best"]["config"]
    return config


def store_trial(store: Store, identity: str, record: Mapping[str, Any]) -> None:
    """Store the record of a finished trial."""
    store.write_text(json.dumps(record), FOLDER, f"{identity}.json")


def find_trial(store: Store, identity: str) -> Record | None:
    """Returns the record of a finished trial, None where there is none."""
    text = store.read_text(FOLDER, f"{identity}.json")
    record: Record | None = json.loads(text) if text else None
    return record


def store_progress(store: Store, search: str, trials: Sequence[Mapping[str, Any]]) -> None:
    """Store the trials of a search so far, for the report."""
    store.write_text(json.dumps(trials), FOLDER, f"{search}.json")


def find_progress(store: Store, search: str) -> list[Record]:
    """Returns the trials of a search so far."""
    text = store.read_text(FOLDER, f"{search}.json")
    trials: list[Record] = json.loads(text) if text else []
    return trials
