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
from orchestrator.artifacts.store import Store
from orchestrator.artifacts.trained import read_history
from orchestrator.pipeline.placement import Placement
from orchestrator.recipe.resources import Resources
from orchestrator.stages.job import Job
from tests.run.jobs import long_training, trained
from tests.run.test_lost_trial import descendants_of, processes
from tests.training.examples import without_times

pytestmark = [pytest.mark.long, pytest.mark.thorough]

STEPS = 2000  # a checkpoint is written between validations after 5 s
WAIT_SECONDS = 300


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A long student of two workers that is validated at its end alone."""
    return long_training(tmp_path, STEPS, STEPS, Placement("ray_train", 2), Resources(checkpoint_seconds=0))


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
