"""The stages of a plan, one after another in the test's own process: without Ray, and without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest

from orchestrator.artifacts.store import Artifact, Store
from orchestrator.pipeline.graph import Plan, Stage
from orchestrator.pipeline.kinds import ScoreSpec
from orchestrator.pipeline.placement import Placement
from orchestrator.pipeline.specs import SearchSpec, TrainSpec
from orchestrator.stages import evaluate, ingest, score, search, snapshot, train
from orchestrator.stages.job import Job
from orchestrator.stages.observers import StageObserver
from orchestrator.stages.searcher import Trials
from orchestrator.stages.train import single_device, train_here
from orchestrator.stages.trial import result_of, trial_of
from orchestrator.tracking.logbook import Logbook
from orchestrator.training.world import World

RUN = {
    "ingest": ingest.run, "train": train.run, "snapshot": snapshot.run, "score": score.run, "search": search.run,
    "evaluate": evaluate.run,
}  # fmt: skip


def run(chosen: Plan, storage: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Artifact]:
    """Returns the artifact of every stage of a plan, by the stage's name."""
    monkeypatch.setattr(score, "_scored", _Scored)
    monkeypatch.setattr(search, "_run_trials", _run_trials)
    made: dict[str, Artifact] = {}
    for stage in chosen.stages:
        made[stage.identity] = RUN[stage.kind](_job(stage, chosen, storage, made))
    return {stage.name: made[stage.identity] for stage in chosen.stages}


def _job(stage: Stage, chosen: Plan, storage: str, made: dict[str, Artifact]) -> Job:
    return Job(
        kind=stage.kind, name=stage.name, identity=stage.identity, spec=stage.spec.model_dump(mode="json"),
        inputs={role: made[upstream.identity] for role, upstream in stage.inputs},
        storage=Store(storage).location, dataset_root=chosen.recipe.dataset.root, resources=chosen.recipe.resources,
        placement=Placement(), facts=stage.facts,
    )  # fmt: skip


class _Scored:
    """The rows of all chunks, in place of Ray Data's."""

    def __init__(self, job: Job, spec: ScoreSpec, images: int) -> None:
        self.job, self.images = job, images

    def iter_batches(self, **_: Any) -> Iterator[score.Rows]:
        runner = score.ExpertRunner(self.job)
        for start in range(0, self.images, score.CHUNK):
            stop = min(start + score.CHUNK, self.images)
            yield runner({"start": np.array([start]), "stop": np.array([stop])})


def _run_trials(job: Job, spec: SearchSpec, trials: Trials) -> None:
    """Every trial that the searcher suggests, in place of Ray Tune."""
    for number in map(str, count()):
        config = trials.suggest(number)
        if isinstance(config, str):  # the search is over
            return
        training, trial = TrainSpec.from_plain(config["training"]), trial_of(job, config)
        with Logbook(trial, training, f"trials/{config['folder']}") as logbook:
            trained = train_here(trial, training, StageObserver(trial, logbook), World(), single_device(trial))
        trials.on_trial_complete(number, {"step": training.steps, **result_of(trained, 0.0)})
