"""Elastic trainings on real Ray: workers that join once there is room, and a training that goes on with fewer."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray

from orchestrator.artifacts.reading import StoredFiles
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.trained import read_history
from orchestrator.pipeline.placement import Placement
from orchestrator.recipe.resources import Resources
from orchestrator.stages.faults import fault_class
from orchestrator.stages.job import Job
from tests.run.jobs import long_training, trained
from tests.run.test_lost_trial import descendants_of, processes
from tests.run.test_shared_training import assert_nothing_is_held

pytestmark = [pytest.mark.long, pytest.mark.thorough]

STEPS, EVERY = 1200, 60
WAIT_SECONDS = 300


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A long training of one or two workers."""
    resources = Resources(checkpoint_seconds=0, resize_seconds=0)
    return long_training(tmp_path, STEPS, EVERY, Placement("ray_train", 2, fewest_workers=1), resources)


class _Holder:
    def is_there(self) -> bool:
        return True


_Neighbour: Any = ray.remote(num_cpus=1)(_Holder)


@contextmanager
def neighbours_that_leave(count: int) -> Iterator[list[Any]]:
    """Takes all CPUs that are free but so many; the actors that have them may be killed earlier."""
    neighbours = [_Neighbour.remote() for _ in range(int(ray.available_resources()["CPU"]) - count)]
    ray.get([neighbour.is_there.remote() for neighbour in neighbours])
    try:
        yield neighbours
    finally:
        for neighbour in neighbours:
            ray.kill(neighbour)


def wait_for_a_checkpoint(job: Job) -> None:
    checkpoints, until = Path(job.storage) / "checkpoints" / job.identity, time.monotonic() + WAIT_SECONDS
    while not list(checkpoints.glob("checkpoint_*/*")) and time.monotonic() < until:
        time.sleep(0.1)


def curve(artifact: Artifact, job: Job) -> list[tuple[int, float]]:
    history = read_history(StoredFiles(Store(job.storage), artifact.identity))
    return [(row["step"], row["training_loss"]) for row in history]


def assert_same_training(artifact: Artifact, alone: Artifact, job: Job) -> None:
    """The sums of another number of workers are rounded otherwise, which many steps make larger."""
    found, wanted = curve(artifact, job), curve(alone, job)
    assert [step for step, _ in found] == [step for step, _ in wanted] == list(range(EVERY, STEPS + 1, EVERY))
    assert found[0] == pytest.approx(wanted[0], abs=1e-3)


def test_a_training_starts_with_the_workers_that_have_room_and_goes_on_with_more_once_there_is_some(
    cluster: None, job: Job
) -> None:
    with neighbours_that_leave(1) as neighbours:
        alone = trained(replace(job, identity=f"train-{1:020d}"))
        assert alone.results["workers"] == 1

        def leave() -> None:
            wait_for_a_checkpoint(job)
            ray.kill(neighbours[0])

        leaving = threading.Thread(target=leave, daemon=True)
        leaving.start()
        joined = trained(job)
        leaving.join()
    assert joined.results["workers"] == 2
    assert_same_training(joined, alone, job)
    assert_nothing_is_held()


def test_a_training_that_lost_a_worker_goes_on_with_as_many_as_have_room(cluster: None, job: Job) -> None:
    lost = list[int]()

    def lose_a_worker() -> None:
        wait_for_a_checkpoint(job)
        mine = set(descendants_of(os.getpid()))
        workers = [process for process, _, command in processes() if process in mine and "TrainWorker" in command]
        lost.extend(workers)
        os.kill(workers[0], signal.SIGKILL)

    with neighbours_that_leave(2):
        losing = threading.Thread(target=lose_a_worker, daemon=True)
        losing.start()
        with pytest.raises(Exception) as raised:  # of Ray, which class depends on its release
            trained(job)
        losing.join()
    assert len(lost) == 2 and fault_class(raised.value) == "machine"
    assert_nothing_is_held()
    with neighbours_that_leave(1):
        resumed = trained(job)
    assert resumed.results["workers"] == 1
    assert [step for step, _ in curve(resumed, job)] == list(range(EVERY, STEPS + 1, EVERY))
    assert_nothing_is_held()
