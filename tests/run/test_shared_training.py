"""Students and trials of several workers on real Ray: complete, as with one worker, and without a trace."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import pytest
import ray
from ray.util.placement_group import placement_group_table

from orchestrator.artifacts.reading import StoredFiles
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.trained import WEIGHTS, read_history
from orchestrator.pipeline.placement import Facts, Placement
from orchestrator.pipeline.specs import SearchSpec
from orchestrator.stages import ray_train, search
from orchestrator.stages.job import Job
from tests.run.conftest import Finished, Place, copy_of
from tests.run.jobs import job_of

pytestmark = [pytest.mark.long, pytest.mark.thorough]

STUDENT = "student/ces_kd/seed-0"
STEPS = 60  # of a trial, with a validation every 10


MakeJob = Callable[[str, Placement], Job]


@pytest.fixture
def make_job(undisturbed: tuple[Place, Finished], make_place: Callable[[], Place]) -> MakeJob:
    """Returns a factory of jobs of a stage of the whole run, each in a storage of its own."""
    facts = Facts(part="student", method="ces_kd", seed=0)
    return lambda name, placement: job_of(copy_of(undisturbed[0], make_place), name, placement, facts)


def searched(job: Job, **changes: object) -> Artifact:
    """Search anew, by shorter trials than those that are stored."""
    spec = SearchSpec.from_plain(job.spec)
    student = spec.student.model_copy(update={"steps": STEPS, "evaluate_every": 10})
    spec = spec.model_copy(update={"student": student, **changes})
    return search.run(dataclasses.replace(job, spec=spec.model_dump(mode="json")))


def assert_nothing_is_held() -> None:
    """Ray takes a moment to give room back."""
    until = time.monotonic() + 120
    while held() and time.monotonic() < until:
        time.sleep(0.5)
    assert not held()


def held() -> list[object]:
    """Returns the CPUs that are not free, and placement groups that are still there."""
    groups = [group for group in placement_group_table().values() if group["state"] != "REMOVED"]
    free = ray.available_resources().get("CPU", 0.0)
    return [*groups, *([free] if free != 2.0 else [])]


def test_a_student_of_two_workers_is_that_of_one(
    cluster: None, make_job: MakeJob, undisturbed: tuple[Place, Finished]
) -> None:
    job = make_job(STUDENT, Placement("ray_train", 2))
    artifact = ray_train.run(job, {role: (role, item) for role, item in job.inputs.items()})
    alone = undisturbed[0].artifacts()[STUDENT]["results"]
    assert (artifact.results["workers"], alone["workers"]) == (2, 1)
    assert artifact.results["cost"]["width"] == 2
    assert artifact.results["taught_with"] == alone["taught_with"]
    assert artifact.results["validation_loss"] == pytest.approx(alone["validation_loss"], rel=0.1)
    files = StoredFiles(Store(job.storage), artifact.identity)
    assert files.has(WEIGHTS) and [row["step"] for row in read_history(files)][-1] == alone["steps"]
    assert Store(job.storage).read_checkpoint(job.identity) is None
    assert_nothing_is_held()


def test_trials_of_two_workers_are_those_of_one(cluster: None, make_job: MakeJob) -> None:
    # One round: proposals of later ones follow from accuracies, to the last digit.
    together = searched(make_job("search", Placement("ray_tune", 4, trial_workers=2)), trials=2)
    alone = searched(make_job("search", Placement("ray_tune", 2)), trials=2)
    assert (together.results["cost"]["width"], alone.results["cost"]["width"]) == (4, 2)
    found, wanted = together.results["trials"], alone.results["trials"]
    for one, other in zip(found, wanted, strict=True):
        assert one.keys() == other.keys()
        assert (one["identity"], one["config"], one["steps"]) == (other["identity"], other["config"], other["steps"])
        assert one["validation_loss"] == pytest.approx(other["validation_loss"], rel=0.1)
    assert {trial["status"] for trial in found} == {"finished"}
    assert all([step for step, _ in trial["curve"]] == list(range(10, STEPS + 1, 10)) for trial in found)
    assert_nothing_is_held()


def test_a_trial_that_is_stopped_gives_its_workers_room_back(cluster: None, make_job: MakeJob) -> None:
    job = make_job("search", Placement("ray_tune", 8, trial_workers=2))
    trials = searched(job, trials=4, round_size=4, scheduler="asha").results["trials"]
    assert len(trials) == 4 and {trial["status"] for trial in trials} == {"finished", "stopped"}
    assert all(trial["curve"][-1][0] == trial["steps"] for trial in trials)
    assert_nothing_is_held()
