"""Jobs of single stages, for tests that hand them to Ray themselves."""

from __future__ import annotations

from pathlib import Path

from orchestrator.artifacts.store import Artifact, Store
from orchestrator.pipeline.placement import Facts, Placement
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe.resources import Resources
from orchestrator.stages import ray_train
from orchestrator.stages.job import Job
from tests.examples import ONLY_LABELS, planned, stage
from tests.export.runs import ingested
from tests.run.conftest import Place


def job_of(place: Place, name: str, placement: Placement, facts: Facts) -> Job:
    """Returns the job of a stage of a whole run, with the inputs that it had, under another identity."""
    store, record = Store(str(place.storage)), place.artifacts()[name]
    inputs = {role: store.find(identity) for role, identity in record["inputs"].items()}
    return Job(
        kind=record["kind"], name=name, identity=f"{record['kind']}-{0:020d}", spec=record["spec"],
        placement=placement, facts=facts, inputs={role: item for role, item in inputs.items() if item},
        storage=str(place.storage), dataset_root="", resources=Resources(checkpoint_seconds=0),
    )  # fmt: skip


def long_training(folder: Path, steps: int, evaluate_every: int, placement: Placement, resources: Resources) -> Job:
    """Returns the job of a student on labels, with its data in a storage below the folder."""
    plan, storage = planned(*ONLY_LABELS), str(folder / "runs")
    read, student = stage(plan, "ingest"), stage(plan, "student/labels/seed-0")
    reading = Job(
        read.kind, read.name, read.identity, read.spec.model_dump(mode="json"), {}, storage, "", Resources(),
        facts=read.facts,
    )  # fmt: skip
    assert isinstance(student.spec, TrainSpec)
    spec = student.spec.model_copy(update={"steps": steps, "evaluate_every": evaluate_every})
    return Job(
        student.kind, student.name, student.identity, spec.model_dump(mode="json"), {"data": ingested(reading, read)},
        storage, "", resources, placement, student.facts,
    )  # fmt: skip


def trained(job: Job) -> Artifact:
    """Returns the artifact of a training by Ray Train."""
    return ray_train.run(job, {role: (role, item) for role, item in job.inputs.items()})
