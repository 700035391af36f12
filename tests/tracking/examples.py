"""Trainings whose rows are recorded, and readers of TensorBoard's files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from orchestrator.pipeline.placement import Facts
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe.resources import Resources
from orchestrator.stages.job import Job
from orchestrator.stages.observers import StageObserver
from orchestrator.tracking.logbook import Logbook
from orchestrator.tracking.settings import Tracking
from tests.training.examples import Killed, learn

STEPS = [4, 8, 12, 14]  # of the validations of ``tests.training.examples.training``


STUDENT = Facts(part="student", method="kd", seed=0)


def job(
    folder: Path, name: str = "student/kd/seed-0", tracking: Tracking | None = None, facts: Facts = STUDENT,
    **changes: Any,
) -> Job:  # fmt: skip
    """A training's job that writes a checkpoint at every validation."""
    fields: dict[str, Any] = {
        "kind": "train",
        "name": name,
        "identity": "train-0123456789abcdef0123",
        "spec": {},
        "inputs": {},
        "storage": str(folder),
        "dataset_root": "",
        "resources": Resources(checkpoint_seconds=0),
        "facts": facts,
        "tracking": tracking,
    }
    return Job(**(fields | changes))


class Dying(StageObserver):
    """Loses the machine after the row of a step is written, and before its checkpoint is."""

    def __init__(self, job: Job, logbook: Logbook, step: int) -> None:
        super().__init__(job, logbook)
        self.step = step

    def evaluated(self, row: dict[str, Any], state: Callable[[], bytes]) -> bool:
        if row["step"] == self.step and self.logbook:
            self.logbook.row(row)
            raise Killed
        return super().evaluated(row, state)


def train_to_the_end(job: Job, spec: TrainSpec) -> None:
    with Logbook(job, spec) as logbook:
        learn(spec, StageObserver(job, logbook))  # type: ignore[arg-type]


def train_until_killed(job: Job, spec: TrainSpec, step: int) -> None:
    """Leaves the logbook as a killed process does: never closed."""
    logbook = Logbook(job, spec)
    try:
        learn(spec, Dying(job, logbook, step))  # type: ignore[arg-type]
    except Killed:
        return
    raise AssertionError("it was to be killed")


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every curve in a folder's TensorBoard files: pairs of step and value."""
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(point.step, point.value) for point in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
