"""The graph on Ray: one Ray task a stage, upstream artifacts as its arguments. Ray is the scheduler.

The driver submits everything that is missing, then watches. A stage that fails fails its dependents alone: they get
its name instead of an artifact and say so; everything independent finishes.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import ray

from orchestrator.artifacts.store import Artifact, Store
from orchestrator.interruption import Interruption
from orchestrator.last_resort import keep_details
from orchestrator.pipeline.graph import Failure, Plan, Stage
from orchestrator.pipeline.precision_choice import PrecisionChoice
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.progress.state import Progress
from orchestrator.recipe.schema import Recipe
from orchestrator.stages.job import SYSTEM_RETRIES, BlockedError, Job, StageError, storage_faults
from orchestrator.stages.precision_probe import start_probe
from orchestrator.stages.startup_cost import start_up_seconds
from orchestrator.stages.status_actor import open_board
from orchestrator.tracking.settings import tracking_of

POLL_SECONDS = 0.5
PUBLISH_SECONDS = 10.0  # the report is made again this often, or less often:
PUBLISH_SHARE = 0.02  # it takes this share of the driver's time at most
AHEAD_SECONDS = 12.0  # about what Ray Train takes from being asked to the first step


@dataclass
class Outcome:
    """What went wrong with the stages that were run, and how long they took; ``progress`` has what they made."""

    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0


@ray.remote(num_cpus=0, max_retries=0)
def _warm_up() -> None:
    """Import what stages need, so that the process that does it, and is kept, starts its stage at once."""
    import ray.train.torch  # noqa: F401

    import orchestrator.stages.train  # noqa: F401


def measure_precision(planned: Plan, interruption: Interruption) -> PrecisionChoice:
    """Time training steps of the plan's student in both precisions, where students train."""
    student, resources = planned.finals[0].train.spec, planned.recipe.resources
    assert isinstance(student, TrainSpec)
    reference = start_probe(student, resources.cpus, resources.student_gpus)
    while not ray.wait([reference], timeout=POLL_SECONDS)[0]:
        interruption.check()
    choice: PrecisionChoice = ray.get(reference)
    return choice


def execute(
    stages: Iterable[Stage], kept: dict[str, Artifact], store: Store, recipe: Recipe, progress: Progress,
    publish: Callable[[], None], interruption: Interruption,
) -> Outcome:  # fmt: skip
    """Run ``stages`` (each after what it needs).

    ``kept`` are the artifacts that exist, by identity. ``progress`` is told of everything that happens, and ``publish``
    is called now and then, to tell others. Needs ``ray_connection.connect`` first. Ctrl-C leaves what is committed;
    the same command goes on from there.
    """
    return _Execution(list(stages), kept, store, recipe, progress, publish, interruption).run()


class _Execution:
    """Hands stages to Ray and watches.

    Ray knows no priorities: short students would take every CPU that a network of the ladder, on the longest path,
    waits for. So a student is handed over when a slot is free that no longer stage uses or waits for.
    """

    def __init__(
        self, stages: list[Stage], kept: dict[str, Artifact], store: Store, recipe: Recipe, progress: Progress,
        publish: Callable[[], None], interruption: Interruption,
    ) -> None:  # fmt: skip
        self.kept, self.store, self.recipe, self.progress, self.publish = kept, store, recipe, progress, publish
        self.interruption = interruption
        self.slots = progress.slots
        self.pending = stages
        self.publish_next = time.monotonic() + PUBLISH_SECONDS
        self.board = open_board()
        self.references: dict[str, Any] = {}  # by identity
        self.waiting: dict[Any, Stage] = {}
        self.settled = set(kept)  # identities of stages that have ended, well or not
        self.outcome = Outcome()

    def run(self) -> Outcome:
        start = time.monotonic()
        if any(stage.kind == "train" for stage in self.pending):
            # While the data set is read: two processes, one for the teacher's stage and one for what goes beside it.
            self.warming = [_warm_up.remote() for _ in range(2)]  # kept, or Ray would cancel them
        while self.pending or self.waiting:
            self.interruption.check()
            self._submit()
            ready, _ = ray.wait(list(self.waiting), num_returns=1, timeout=POLL_SECONDS)
            self.progress.status(self.board.take())
            for reference in ready:
                stage = self.waiting.pop(reference)
                self.settled.add(stage.identity)
                self._settle(stage, reference)
            self.progress.view.refresh(self.progress)
            self._publish_now_and_then()
        ray.kill(self.board.actor)
        self.outcome.seconds = time.monotonic() - start
        return self.outcome

    def _publish_now_and_then(self) -> None:
        begun = time.monotonic()
        if begun >= self.publish_next:
            self.publish()
            took = time.monotonic() - begun
            self.publish_next = begun + max(PUBLISH_SECONDS, took / PUBLISH_SHARE)

    def _submit(self) -> None:
        held = []
        for stage in self.pending:
            if not self._may_go(stage):
                held.append(stage)
                continue
            upstream = {
                role: (item.name, self.kept.get(item.identity) or self.references[item.identity])
                for role, item in stage.inputs
            }
            # References that are arguments themselves are waited for by Ray; those within one are not.
            arguments = [] if _is_ladder(stage) else [item for _, item in upstream.values()]
            reference = _run_stage.options(name=stage.name, **_needs(stage, self.recipe)).remote(
                self._job(stage), upstream if _is_ladder(stage) else dict.fromkeys(upstream), *arguments
            )
            self.references[stage.identity] = reference
            self.waiting[reference] = stage
        self.pending = held

    def _may_go(self, stage: Stage) -> bool:
        if not all(item.identity in self.kept or item.identity in self.references for _, item in stage.inputs):
            return False
        if _is_student(stage):
            return self._is_ready(stage) and self._room_for_student()
        if _is_ladder(stage):
            missing = [item for _, item in stage.inputs if item.identity not in self.settled]
            return all(self._ends_soon(item, stage.settings["workers"]) for item in missing)
        return True

    def _ends_soon(self, stage: Stage, workers: int) -> bool:
        """Whether a stage ends in about the time that the processes of a training's ``workers`` take to start."""
        if stage.kind in ("ingest", "score"):
            # They hold no slot between their tasks: with none left to them they would never end.
            held = sum(item.settings["workers"] for item in self.waiting.values() if _is_ladder(item))
            if held + workers >= self.slots:
                return False
        left = self.progress.stages[stage.name].seconds_left
        return stage.kind == "ingest" or (left is not None and left <= AHEAD_SECONDS)

    def _room_for_student(self) -> bool:
        """Whether a slot is free that nothing on a longer path is to have."""
        running = list(self.waiting.values())
        resources = self.recipe.resources
        if resources.gpus > resources.student_gpus and any(map(self._waits_for_workers, running)):
            return False  # students would take parts of the GPU that it needs whole
        return sum(map(self._slots_of, running)) < self.slots

    def _waits_for_workers(self, stage: Stage) -> bool:
        waits = self.progress.stages[stage.name].state == "waiting"
        return waits and _is_ladder(stage) and self._is_ready(stage)

    def _slots_of(self, stage: Stage) -> int:
        """The slots that a stage in Ray's hands uses, or is to have as soon as they are free."""
        if _is_student(stage):
            return 1
        if _is_ladder(stage):
            return stage.settings["workers"]
        if not self._is_ready(stage):
            return 0
        # A search's trials are students too, and what waits for it comes last: its rounds go before other students.
        return {"score": stage.settings.get("workers", 0), "search": self.recipe.search.round_size}.get(stage.kind, 0)

    def _is_ready(self, stage: Stage) -> bool:
        return all(item.identity in self.settled for _, item in stage.inputs)

    def _settle(self, stage: Stage, reference: Any) -> None:
        failures = self.outcome.failures
        try:
            result = ray.get(reference)
        except ray.exceptions.RayError as error:  # the stage's process died more often than it is tried again
            failed = {failure.stage: failure for failure in failures}
            cause = next((failed[item.name] for _, item in stage.inputs if item.name in failed), None)
            blocked_by = (cause.blocked_by or cause.stage) if cause else None
            result = Failure(stage.name, None if cause else f"its process died: {str(error).strip()}", blocked_by)
        if isinstance(result, Failure):
            failures.append(result)
            self.progress.failed(result)
        else:
            self.progress.done(result)

    def _job(self, stage: Stage) -> Job:
        return Job(
            kind=stage.kind,
            name=stage.name,
            identity=stage.identity,
            spec=stage.spec.model_dump(mode="json"),
            settings=stage.settings,
            inputs={},
            storage=self.store.ray_path(),
            dataset_root=os.path.abspath(os.path.expanduser(self.recipe.dataset.root)),
            resources=self.recipe.resources,
            tracking=tracking_of(self.recipe, self.store),
            board=self.board,
        )


def _is_student(stage: Stage) -> bool:
    """Whether the stage is a single-worker training."""
    return stage.kind == "train" and stage.settings["role"] == "single"


def _is_ladder(stage: Stage | Job) -> bool:
    """Whether the stage is a training by Ray Train."""
    return stage.kind == "train" and stage.settings["role"] == "ladder"


def _needs(stage: Stage, recipe: Recipe) -> dict[str, Any]:
    """What the stage's own task asks for. A stage that starts workers, actors or trials asks for nothing itself."""
    resources = recipe.resources
    if stage.kind in ("evaluate", "pretrained") or _is_student(stage):
        return {"num_cpus": resources.cpus, "num_gpus": resources.student_gpus}
    return {"num_cpus": 0}


@ray.remote(max_retries=SYSTEM_RETRIES, retry_exceptions=False)
def _run_stage(job: Job, upstream: dict[str, tuple[str, Any]], *artifacts: Artifact | Failure) -> Artifact | Failure:
    """A stage as a Ray task. What it can't do is returned as a Failure, so that dependents learn whose fault it was.

    Ray starts it when ``artifacts`` exist; those in ``upstream`` (name and artifact or reference, by role) may be on
    their way, which only a network of the ladder makes use of.
    """
    try:
        with storage_faults(job.storage):
            if _is_ladder(job):
                from orchestrator.stages import train

                return train.run_ladder(job, upstream)
            job = job.with_inputs(dict(zip(upstream, artifacts, strict=True)), start_up_seconds())
            # The others say what they begin with, once their workers are there.
            if job.kind in ("train", "evaluate", "pretrained"):
                job.say(doing="opening its inputs")
            return _function(job.kind)(job)
    except BlockedError as error:
        return Failure(job.name, blocked_by=error.args[0])
    except StageError as error:
        return Failure(job.name, error=str(error))
    except Exception as error:  # a defect, here or in a network that a person brought: the rest of the run goes on
        return Failure(job.name, error=f"{type(error).__name__}: {error}\n{traceback.format_exc()}")


def _function(kind: str) -> Any:
    """The function of a stage's kind, imported where it runs: an evaluation need not wait for Tune."""
    if kind == "ingest":
        from orchestrator.stages import ingest

        return ingest.run
    if kind == "score":
        from orchestrator.stages import score

        return score.run
    if kind == "search":
        from orchestrator.stages import search

        return search.run
    if kind == "evaluate":
        from orchestrator.stages import evaluate

        return evaluate.run
    if kind == "pretrained":
        from orchestrator.stages import pretrained

        return pretrained.run
    from orchestrator.stages import train

    return train.run


def failures_table(failures: list[Failure]) -> str:
    """What failed and why, and what could not be done because of it."""
    own = [failure for failure in failures if failure.error]
    lines = ["Failed:"]
    for failure in own:
        first, *rest = (failure.error or "").splitlines()
        lines.append(f"  {failure.stage}: {first}")
        if "Traceback (most recent call last)" in (failure.error or ""):
            rest = [
                f"not expected: a defect of the program or of user-defined code; {keep_details(failure.error or '')}"
            ]
        lines += [f"    {line}" for line in rest]
        blocked = sorted({item.stage for item in failures if item.blocked_by == failure.stage})
        if blocked:
            lines.append(f"    could not be done without it: {', '.join(blocked)}")
    return "\n".join(lines)
