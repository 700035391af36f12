"""Jobs of single stages, for tests that hand them to Ray themselves."""

from __future__ import annotations

from pathlib import Path

from orchestrator.artifacts.store import Artifact
from orchestrator.pipeline.placement import Placement
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe.resources import Resources
from orchestrator.stages import ray_train
from orchestrator.stages.job import Job
from tests.examples import ONLY_LABELS, planned, stage
from tests.export.runs import ingested


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
