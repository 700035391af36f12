"""The graph on Ray: one Ray task a stage, upstream artifacts as its arguments.

``admission`` decides which stages are handed to Ray, and when; the executor submits those, passes on what running
stages post, and settles what has ended, until every stage is there or has failed. A stage that fails blocks those that
need it: ones that wait here are settled as blocked, ones that Ray has already are given the failure in place of an
artifact and return it. Everything independent finishes.
"""

from __future__ import annotations

import importlib
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ray

from orchestrator.artifacts.store import Artifact, Store
from orchestrator.errors import UserError
from orchestrator.execution.admission import admit
from orchestrator.execution.capacity import Capacity
from orchestrator.execution.listener import Listener
from orchestrator.execution.run_state import RunState
from orchestrator.interruption import Interruption
from orchestrator.last_resort import keep_details
from orchestrator.pipeline.graph import Failure, Plan, Stage
from orchestrator.pipeline.kinds import KINDS
from orchestrator.pipeline.placement import Placement
from orchestrator.pipeline.precision_choice import PrecisionChoice
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe.schema import Recipe
from orchestrator.stages.job import SYSTEM_RETRIES, BlockedError, Job, StageError, storage_faults
from orchestrator.stages.precision_probe import start_probe
from orchestrator.stages.startup_cost import start_up_seconds
from orchestrator.stages.status_actor import open_board
from orchestrator.tracking.settings import tracking_of

POLL_SECONDS = 0.5
CAPACITY_SECONDS = 5.0  # nodes that joined or left are looked for this often
PUBLISH_SECONDS = 10.0  # the report is made again this often, or less often:
PUBLISH_SHARE = 0.02  # it takes this share of the driver's time at most


@dataclass
class Outcome:
    """Failures of the stages that were run, and the seconds that all took."""

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
    run: RunState, capacity: Callable[[], Capacity], store: Store, recipe: Recipe, listener: Listener,
    publish: Callable[[], None], interruption: Interruption,
) -> Outcome:  # fmt: skip
    """Run the stages that are not there yet. Needs ``ray_connection.connect`` first.

    Ctrl-C leaves what is committed; the same command goes on from there.

    Args:
        run: state of the run, which is kept up to date.
        capacity: returns the cluster's capacity as it is now.
        store: where artifacts go.
        recipe: the run's recipe.
        listener: receives the events of the run.
        publish: called now and then, to bring the report up to date.
        interruption: checked about twice a second.
    """
    return _Execution(run, capacity, store, recipe, listener, publish, interruption).run()


class _Execution:
    """One execution: submits, watches, settles."""

    def __init__(
        self, run: RunState, capacity: Callable[[], Capacity], store: Store, recipe: Recipe, listener: Listener,
        publish: Callable[[], None], interruption: Interruption,
    ) -> None:  # fmt: skip
        self.state, self.read_capacity, self.store, self.recipe = run, capacity, store, recipe
        self.listener, self.publish, self.interruption = listener, publish, interruption
        self.publish_next = time.monotonic() + PUBLISH_SECONDS
        self.board = open_board()
        self.references: dict[str, Any] = {}  # by the stage's name
        self.waiting: dict[Any, Stage] = {}  # by reference
        self.outcome = Outcome()
        self._look_at_cluster()

    def run(self) -> Outcome:
        start = time.monotonic()
        if any(stage.kind == "train" for stage in self.state.waiting()):
            # While the data set is read: two processes, one for the teacher's stage and one for what goes beside it.
            self.warming = [_warm_up.remote() for _ in range(2)]  # kept, or Ray would cancel them
        while not self.state.is_over:
            self.interruption.check()
            if time.monotonic() >= self.look_next:
                self._look_at_cluster()
            for stage in admit(self.state, self.capacity):
                self._submit(stage)
            ready, _ = ray.wait(list(self.waiting), num_returns=1, timeout=POLL_SECONDS)
            self._pass_on_statuses()
            for reference in ready:
                self._settle(self.waiting.pop(reference), reference)
            for failure in self.state.blocked():
                self._fail(failure)
            self.listener.refresh()
            self._publish_now_and_then()
        ray.kill(self.board.actor)
        self.outcome.seconds = time.monotonic() - start
        return self.outcome

    def _look_at_cluster(self) -> None:
        self.capacity = self.read_capacity()
        self.state.set_slots(self.capacity.slots)
        self.look_next = time.monotonic() + CAPACITY_SECONDS

    def _publish_now_and_then(self) -> None:
        begun = time.monotonic()
        if begun >= self.publish_next:
            self.publish()
            took = time.monotonic() - begun
            self.publish_next = begun + max(PUBLISH_SECONDS, took / PUBLISH_SHARE)

    def _submit(self, stage: Stage) -> None:
        upstream = {
            role: (item.name, self.state.artifacts.get(item.identity) or self.references[item.name])
            for role, item in stage.inputs
        }
        # References that are arguments themselves are waited for by Ray; those within one are not.
        ahead = stage.placement.launch == "ray_train"
        arguments = [] if ahead else [item for _, item in upstream.values()]
        reference = _run_stage.options(name=stage.name, **_needs(stage.placement)).remote(
            self._job(stage), upstream if ahead else dict.fromkeys(upstream), *arguments
        )
        self.references[stage.name] = reference
        self.waiting[reference] = stage
        self.state.submitted(stage)

    def _pass_on_statuses(self) -> None:
        for name, status in self.board.take().items():
            if name in self.state.stages:
                self.state.posted(name, status)
            else:  # no stage, but something beside one that did not go well
                self.listener.noted(name, status)

    def _settle(self, stage: Stage, reference: Any) -> None:
        try:
            result = ray.get(reference)
        except ray.exceptions.RayError as error:  # the stage's process died more often than it is tried again
            failures = [entry.failure for entry in self.state.inputs_of(stage) if entry.failure]
            blocked_by = (failures[0].blocked_by or failures[0].stage) if failures else None
            result = Failure(stage.name, None if failures else f"its process died: {str(error).strip()}", blocked_by)
        if isinstance(result, Failure):
            self._fail(result)
        else:
            self.listener.ended(self.state.done(result))

    def _fail(self, failure: Failure) -> None:
        self.outcome.failures.append(failure)
        self.listener.ended(self.state.failed(failure))

    def _job(self, stage: Stage) -> Job:
        return Job(
            kind=stage.kind,
            name=stage.name,
            identity=stage.identity,
            spec=stage.spec.model_dump(mode="json"),
            inputs={},
            storage=self.store.ray_path(),
            dataset_root=os.path.abspath(os.path.expanduser(self.recipe.dataset.root)),
            resources=self.recipe.resources,
            placement=stage.placement,
            facts=stage.facts,
            tracking=tracking_of(self.recipe, self.store),
            board=self.board,
        )


def _needs(placement: Placement) -> dict[str, Any]:
    """Returns the resources of a stage's own task. One that starts workers, tasks or trials asks for nothing itself."""
    if placement.launch == "in_process":
        return {"num_cpus": placement.cpus, "num_gpus": placement.gpus}
    return {"num_cpus": 0}


@ray.remote(max_retries=SYSTEM_RETRIES, retry_exceptions=False)
def _run_stage(job: Job, upstream: dict[str, tuple[str, Any]], *artifacts: Artifact | Failure) -> Artifact | Failure:
    """A stage as a Ray task. Returns its artifact, or a Failure, so that dependents learn which stage failed.

    Ray starts it when ``artifacts`` exist. Those in ``upstream`` (name and artifact or reference, by role) may still be
    on their way, which only trainings by Ray Train make use of.
    """
    try:
        with storage_faults(job.storage):
            if job.placement.launch == "ray_train":
                return _function(job)(job, upstream)
            job = job.with_inputs(dict(zip(upstream, artifacts, strict=True)), start_up_seconds())
            if job.placement.launch == "in_process":  # the others post a status once their workers are there
                job.say(doing="opening its inputs")
            return _function(job)(job)
    except BlockedError as error:
        return Failure(job.name, blocked_by=error.args[0])
    except (StageError, UserError) as error:  # such as a photo that is gone since the run began
        return Failure(job.name, error=str(error))
    except Exception as error:  # a bug, here or in user-defined code: the rest of the run continues
        return Failure(job.name, error=f"{type(error).__name__}: {error}\n{traceback.format_exc()}")


def _function(job: Job) -> Callable[..., Artifact]:
    """Returns the function of a stage, imported where it runs: an evaluation need not wait for Tune."""
    kind = KINDS[job.kind]
    path = kind.ray_train if job.placement.launch == "ray_train" else kind.function
    assert path is not None, f"no function for {job.kind} by Ray Train"
    module, name = path.split(":")
    found: Callable[..., Artifact] = getattr(importlib.import_module(module), name)
    return found


def failures_table(failures: list[Failure]) -> str:
    """Returns a table of the stages that failed, with the reasons and the stages that each blocked."""
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
