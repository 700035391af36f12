"""The file of a search stage's artifact, and the records of trials that a storage keeps beside its artifacts.

``search.json`` has all ``trials`` and the ``best`` of them; ``study.log`` is the same as a study of Optuna
(``orchestrator/search/studies.py``), which artifacts of earlier versions lack. ``trials/<identity of a trial>.json``
below the storage is the record of one finished trial, which later searches take over; ``trials/<identity of a
search>.json`` is a list of the trials of that search so far.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from orchestrator.artifacts.reading import Files
from orchestrator.artifacts.store import Store

# Part of the identities of searches and of trials: raise one when the same spec comes to make other records.
VERSION = 3
TRIAL_VERSION = 3
SEARCH, STUDY = "search.json", "study.log"
FOLDER = "trials"

METRIC: Final = "validation_accuracy"
Point = dict[str, str | float]  # a point of the search space: values by setting
Curve = list[tuple[int, float]]
TrialStatus = Literal["finished", "stopped", "failed"]


class TrialRecord(TypedDict):
    """A trial. `rungs` has a pair for each training of its point, several with `search.scheduler: halving`. A failed
    trial has `error`; any other has `identity`, `validation_loss`, `seconds` and `curve`."""

    id: Annotated[int, Field(description="its number, from 0")]
    config: Annotated[Point, Field(description="the point that was tried")]
    status: Annotated[TrialStatus, Field(description="`stopped`: early")]
    validation_accuracy: Annotated[float | None, Field(description="after its last step")]
    steps: Annotated[int, Field(description="steps done")]
    rungs: NotRequired[Annotated[Curve, Field(description="step and validation accuracy")]]
    identity: NotRequired[Annotated[str, Field(description="identity of its training")]]
    validation_loss: NotRequired[Annotated[float, Field(description="after its last step")]]
    seconds: NotRequired[Annotated[float, Field(description="of training")]]
    curve: NotRequired[Annotated[Curve, Field(description="step and validation accuracy")]]
    error: NotRequired[Annotated[str, Field(description="cause of its failure")]]


def best_of(trials: Iterable[TrialRecord]) -> TrialRecord | None:
    """Returns the trial of the highest validation accuracy among those that were trained longest.

    The lower loss decides between equals, then the lower number. None where all have failed.
    """

    def rank(trial: TrialRecord) -> tuple[float, ...]:
        accuracy = trial[METRIC]
        assert accuracy is not None, "a failed trial has no accuracy"
        return trial["steps"], accuracy, -trial["validation_loss"], -trial["id"]

    return max((trial for trial in trials if trial["status"] != "failed"), key=rank, default=None)


def write(folder: Path, trials: Sequence[TrialRecord], best: TrialRecord) -> None:
    """Write the artifact's file."""
    (folder / SEARCH).write_text(json.dumps({"trials": trials, "best": best}, indent=1))


def read_best_config(files: Files) -> Point:
    """Returns the settings of the best trial."""
    config: Point = files.json(SEARCH)["best"]["config"]
    return config


def store_trial(store: Store, identity: str, record: TrialRecord) -> None:
    """Store the record of a finished trial."""
    store.write_text(json.dumps(record), FOLDER, f"{identity}.json")


def find_trial(store: Store, identity: str) -> TrialRecord | None:
    """Returns the record of a finished trial, None where there is none."""
    text = store.read_text(FOLDER, f"{identity}.json")
    record: TrialRecord | None = json.loads(text) if text else None
    return record


def store_progress(store: Store, search: str, trials: Sequence[TrialRecord]) -> None:
    """Store the trials of a search so far, for the report."""
    store.write_text(json.dumps(trials), FOLDER, f"{search}.json")


def find_progress(store: Store, search: str) -> list[TrialRecord]:
    """Returns the trials of a search so far."""
    text = store.read_text(FOLDER, f"{search}.json")
    trials: list[TrialRecord] = json.loads(text) if text else []
    return trials
