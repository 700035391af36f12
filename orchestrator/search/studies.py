"""Searches as studies of Optuna, for its own tools: a file of each search, and the trials of one that goes on.

The file is a journal (``optuna.storages.JournalStorage``): lines of JSON, written in milliseconds, that need no
database engine, no migration between Optuna's versions and no locks of the file system, as SQLite's would. It follows
from the search's records, and nothing in a run reads it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from orchestrator.artifacts.trials import METRIC, TrialRecord, TrialStatus
from orchestrator.recipe.search_space import SETTINGS, Range, SpaceSpec

STATES: dict[TrialStatus, TrialState] = {
    "finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL,
}  # fmt: skip
ATTRIBUTES = ("identity", "validation_loss", "steps", "seconds", "error")  # of a record that are the trial's too


def write(
    path: Path, method: str, facts: Mapping[str, str], space: SpaceSpec, trials: Sequence[TrialRecord],
    experts: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write a search as a study into a file of its own.

    Args:
        path: the file.
        method: the method whose search it is, the name of the study.
        facts: more of the study's attributes, by name.
        space: the search space.
        trials: records of all its trials.
        experts: those that may teach, smallest first.
    """
    study = new_study(JournalStorage(JournalFileBackend(str(path))), method, {"method": method, **facts})
    study.add_trials([trial_of(record, method, space, experts) for record in trials])


def new_study(storage: BaseStorage, name: str, attributes: Mapping[str, str]) -> optuna.Study:
    """Returns a new study without trials, of validation accuracies."""
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # optuna's note on an experimental method
        study.set_metric_names([METRIC])
    for attribute, value in attributes.items():
        study.set_user_attr(attribute, value)
    return study


def trial_of(record: TrialRecord, method: str, space: SpaceSpec, experts: Sequence[str] = ()) -> FrozenTrial:
    """Returns a record as a trial: its settings, fixed ones too, and what it had at each validation.

    A training that was stopped early is a pruned trial. Where points were compared by trainings of several lengths
    (halving), a trial has the accuracy at the end of each.
    """
    config, rungs = record["config"], record.get("rungs", [])
    curve = rungs if len(rungs) > 1 else record.get("curve", rungs)
    plain: Mapping[str, Any] = record
    attributes = {name: plain[name] for name in ATTRIBUTES if name in plain}
    trial = optuna.trial.create_trial(
        state=STATES[record["status"]],
        params=config,
        distributions={name: _distributions(space, experts)[name.partition("[")[0]] for name in config},
        value=record[METRIC],
        intermediate_values={int(step): accuracy for step, accuracy in curve},
        user_attrs={"method": method, "trial": record["id"], **attributes},
    )
    if trial.datetime_complete:
        trial.datetime_start = trial.datetime_complete - timedelta(seconds=record.get("seconds", 0.0))
    return trial


def _distributions(space: SpaceSpec, experts: Sequence[str]) -> dict[str, BaseDistribution]:
    """Returns the distribution of each setting of the space, by its name; of each stratum's where it has several."""
    space, found = space.with_table(tuple(experts)), dict[str, BaseDistribution]()
    for field, setting in SETTINGS.items():
        asked = getattr(space, field)
        among = () if asked is None else setting.among(asked, experts)
        if isinstance(among, Range):
            found[setting.name] = FloatDistribution(*setting.reach(among.low, among.high), log=setting.log)
        elif among:
            found[setting.name] = CategoricalDistribution(among)
    return found
