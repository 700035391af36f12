"""A network of the ladder whose processes start before its inputs are finished."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest
import ray

from orchestrator.artifacts.store import Artifact
from orchestrator.pipeline.placement import Facts, Placement
from orchestrator.stages import ray_train
from orchestrator.stages.errors import BlockedError
from orchestrator.stages.job import Failure, Job
from orchestrator.stages.status import Posted
from orchestrator.stages.status_actor import StatusHandle, open_status_actor
from tests.run.conftest import Finished, Place, copy_of
from tests.run.jobs import job_of

pytestmark = [pytest.mark.long, pytest.mark.thorough]

TA = "train/plain_cnn_6"
DELAY = 12.0  # longer than workers take to start

Stage = tuple[Job, dict[str, Artifact], str]


class MarkedHandle(StatusHandle):
    """Adds 1,000 s to the controller's CPU time, so that it can be recognised in the sum."""

    def controller_seconds(self, stage: str) -> float:
        return super().controller_seconds(stage) + 1000.0


@ray.remote(num_cpus=0)
def later(item: Any, seconds: float) -> Any:
    time.sleep(seconds)
    return item


@pytest.fixture
def stage(undisturbed: tuple[Place, Finished], make_place: Callable[[], Place]) -> Stage:
    """The TA's stage under another identity, the inputs that it had, and the hash of the weights that it made."""
    place = copy_of(undisturbed[0], make_place)
    job = job_of(place, TA, Placement("ray_train"), Facts(part="expert"))
    return dataclasses.replace(job, inputs={}), job.inputs, place.artifacts()[TA]["results"]["weights_sha256"]


def test_it_trains_the_same_after_its_slot_was_released_and_it_started_again(
    cluster: None, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, inputs, weights = stage  # the weights are of a run in which it waited for its teacher
    monkeypatch.setattr(ray_train, "PATIENCE_SECONDS", 1.0)
    upstream = {role: (role, later.remote(item, DELAY)) for role, item in inputs.items()}
    asked = time.time()
    artifact = ray_train.run(job, upstream)
    assert artifact.start - asked > DELAY
    assert artifact.results["weights_sha256"] == weights


def test_its_cost_includes_the_controller_process(cluster: None, stage: Stage) -> None:
    job, inputs, _ = stage
    receiver = MarkedHandle(open_status_actor().actor)
    artifact = ray_train.run(dataclasses.replace(job, status=receiver), {role: (role, inputs[role]) for role in inputs})
    assert artifact.results["cost"]["slot_seconds"] > 1000.0
    assert 0.5 < receiver.controller_seconds(TA) - 1000.0 < 60.0  # importing torch alone takes longer


def test_a_lost_status_actor_is_ignored(cluster: None) -> None:
    receiver = open_status_actor()
    receiver.post(TA, {"step": 1})
    receiver.post_controller_seconds(TA, 3.0)
    assert (receiver.take(), receiver.controller_seconds(TA)) == (Posted({TA: {"step": 1}}), 3.0)
    ray.kill(receiver.actor)
    with pytest.raises(ray.exceptions.RayActorError):
        for _ in range(10_000):  # the kill takes a moment, in which calls are still answered
            ray.get(receiver.actor.take.remote(), timeout=60)
    receiver.post(TA, {"step": 2})
    assert (receiver.take(), receiver.controller_seconds(TA)) == (Posted(), 0.0)


def test_its_error_names_the_teacher_that_failed(cluster: None, stage: Stage) -> None:
    job, inputs, _ = stage
    failed = later.remote(Failure("train/plain_cnn_8", error="it diverged"), 1.0)
    upstream = {role: (role, failed if role.startswith("expert:") else item) for role, item in inputs.items()}
    with pytest.raises(BlockedError, match="train/plain_cnn_8"):
        ray_train.run(job, upstream)
