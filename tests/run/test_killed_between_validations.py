"""A worker of Ray Train that is killed between validations: the training ends in the same weights and history."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.artifacts.reading import StoredFiles
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.trained import read_history
from orchestrator.pipeline.placement import Placement
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe.resources import Resources
from orchestrator.stages import ray_train
from orchestrator.stages.job import Job
from tests.examples import ONLY_LABELS, planned, stage
from tests.export.runs import ingested
from tests.run.test_lost_trial import descendants_of, processes
from tests.training.examples import without_times

pytestmark = pytest.mark.long

STEPS = 2000  # a checkpoint is written between validations after 5 s
WAIT_SECONDS = 300


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A long student of two workers that is validated at its end alone."""
    plan = planned(*ONLY_LABELS)
    read, student = stage(plan, "ingest"), stage(plan, "student/labels/seed-0")
    storage = str(tmp_path / "runs")
    reading = Job(
        read.kind, read.name, read.identity, read.spec.model_dump(mode="json"), {}, storage, "", Resources(),
        facts=read.facts,
    )  # fmt: skip
    assert isinstance(student.spec, TrainSpec)
    spec = student.spec.model_copy(update={"steps": STEPS, "evaluate_every": STEPS})
    return Job(
        student.kind, student.name, student.identity, spec.model_dump(mode="json"), {"data": ingested(reading, read)},
        storage, "", Resources(checkpoint_seconds=0), Placement("ray_train", 2), student.facts,
    )  # fmt: skip


def trained(job: Job) -> Artifact:
    return ray_train.run(job, {role: (role, item) for role, item in job.inputs.items()})


def kill_a_worker_when(happened: Callable[[], bool], killed: list[int]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not happened() and time.monotonic() < until:
        time.sleep(0.1)
    mine = set(descendants_of(os.getpid()))
    for process, _, command in processes():
        if process in mine and command.startswith("ray::") and "TrainWorker" in command and not killed:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                killed.append(process)


def test_two_workers_of_which_one_is_killed_between_validations_end_in_the_same_training(
    cluster: None, job: Job
) -> None:
    undisturbed, killed = trained(replace(job, identity=f"train-{1:020d}")), list[int]()
    checkpoints = Path(job.storage) / "checkpoints" / job.identity

    def one_is_written() -> bool:
        return bool(list(checkpoints.glob("checkpoint_*/*")))

    watching = threading.Thread(target=kill_a_worker_when, args=(one_is_written, killed), daemon=True)
    watching.start()
    resumed = trained(job)
    assert killed, "it ended before a worker was killed"
    assert resumed.results["weights_sha256"] == undisturbed.results["weights_sha256"]
    found, wanted = (
        without_times(read_history(StoredFiles(Store(job.storage), artifact.identity)))
        for artifact in (resumed, undisturbed)
    )
    assert found == wanted and len(found) == 1
