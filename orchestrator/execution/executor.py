"""The graph on Ray: one Ray task a stage, upstream artifacts as its arguments.

``admission`` decides which stages are handed to Ray, and when; the executor submits those, passes on what running
stages post, and settles what has ended, until every stage is there or has failed. A stage that fails blocks those that
need it: ones that wait here are settled as blocked, ones that Ray has already are given the failure in place of an
artifact and return it. Everything independent finishes. A stage that meets a fault of a machine, or whose process dies,
is put back and handed to Ray again, and what Ray had that needs it is put back with it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import ray

from orchestrator.artifacts.store import Store
from orchestrator.execution.admission import admit
from orchestrator.execution.cluster import ClusterWatch
from orchestrator.execution.listener import Listener
from orchestrator.execution.run_state import RunState
from orchestrator.execution.stage_task import start_stage
from orchestrator.interruption import Interruption
from orchestrator.last_resort import keep_details
from orchestrator.locations import absolute
from orchestrator.pipeline.graph import Failure, Plan, Stage
from orchestrator.pipeline.precision_choice import PrecisionChoice
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe.schema import Recipe
from orchestrator.stages.faults import Attempts, checkpoint_time
from orchestrator.stages.job import Job
from orchestrator.stages.precision_probe import start_probe
from orchestrator.stages.status import Fault
from orchestrator.stages.status_actor import open_status_actor
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
    run: RunState, cluster: ClusterWatch, store: Store, recipe: Recipe, listener: Listener,
    publish: Callable[[], None], interruption: Interruption,
) -> Outcome:  # fmt: skip
    """Run the stages that are not there yet. Needs ``ray_connection.connect`` first.

    Ctrl-C leaves what is committed; the same command goes on from there.

    Args:
        run: state of the run, which is kept up to date.
        cluster: reads the cluster's capacity as it is now.
        store: where artifacts go.
        recipe: the run's recipe.
        listener: receives the events of the run.
        publish: called now and then, to bring the report up to date.
        interruption: checked about twice a second.
    """
    return _Execution(run, cluster, store, recipe, listener, publish, interruption).run()


class _Execution:
    """One execution: submits, watches, settles."""

    def __init__(
        self, run: RunState, cluster: ClusterWatch, store: Store, recipe: Recipe, listener: Listener,
        publish: Callable[[], None], interruption: Interruption,
    ) -> None:  # fmt: skip
        self.state, self.cluster, self.store, self.recipe = run, cluster, store, recipe
        self.listener, self.publish, self.interruption = listener, publish, interruption
        self.publish_next = time.monotonic() + PUBLISH_SECONDS
        self.status = open_status_actor()
        self.references: dict[str, ray.ObjectRef] = {}  # by the stage's name
        self.waiting: dict[ray.ObjectRef, Stage] = {}  # by reference
        self.left: list[ray.ObjectRef] = []  # references of attempts that are given up; kept, or Ray would cancel them
        self.attempts: dict[str, Attempts] = {}  # of stages that met faults
        self.outcome = Outcome()
        self._look_at_cluster()

    def run(self) -> Outcome:
        start = time.monotonic()
        if any(stage.kind == "train" for stage in self.state.waiting()):
            # While the data set is read, a process for the first student: the teacher's workers are started meanwhile.
            self.warming = _warm_up.remote()  # kept, or Ray would cancel it
        while not self.state.is_over:
            self.interruption.check()
            if time.monotonic() >= self.look_next:
                self._look_at_cluster()
            for stage in admit(self.state, self.capacity):
                self._submit(stage)
            ready = self._wait()
            self._pass_on_statuses()
            for reference in ready:
                if reference in self.waiting:  # else it was given up for a fault that was posted meanwhile
                    self._settle(self.waiting.pop(reference), reference)
            if self.outcome.failures:
                for failure in self.state.blocked():
                    self._fail(failure)
            self.listener.refresh()
            self._publish_now_and_then()
        ray.kill(self.status.actor)
        self.outcome.seconds = time.monotonic() - start
        return self.outcome

    def _wait(self) -> list[ray.ObjectRef]:
        if not self.waiting:  # all that is left waits to be tried again
            time.sleep(POLL_SECONDS)
            return []
        first, rest = ray.wait(list(self.waiting), num_returns=1, timeout=POLL_SECONDS)
        others = ray.wait(rest, num_returns=len(rest), timeout=0)[0] if first and rest else []
        return [*first, *others]

    def _look_at_cluster(self) -> None:
        self.capacity, changes = self.cluster.look()
        self.state.set_capacity(self.capacity)
        for change in changes:
            self.listener.noticed(change)
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
        reference = start_stage(self._job(stage), upstream)
        self.references[stage.name] = reference
        self.waiting[reference] = stage
        self.state.submitted(stage)

    def _pass_on_statuses(self) -> None:
        posted = self.status.take()
        for name, status in posted.statuses.items():
            if name not in self.state.stages:  # no stage, but something beside one that did not go well
                self.listener.noted(name, status)
            elif self.state.stages[name].is_active:
                self.state.posted(name, status)
        for fault in posted.faults:
            reference = self.references[fault.stage]
            if reference in self.waiting:
                self.left.append(reference)
                self._try_again(self.waiting.pop(reference), f"{fault.error} on {fault.place}")
        if posted.moved:
            self.state.moved = time.time()

    def _settle(self, stage: Stage, reference: ray.ObjectRef) -> None:
        try:
            result = ray.get(reference)
        except ray.exceptions.RayError as error:  # the process of the stage died, or that of one that it needs
            if self.state.is_ready(stage):
                node = self.state.stages[stage.name].status.get("node_id", "")
                if self.cluster.was_told_to_leave(node):
                    self.listener.noted(stage.name, {"doing": "its node left the cluster; it goes on elsewhere"})
                    self.state.put_back(stage)
                    return
                self._try_again(stage, f"its process died: {_first_sentence(error)}", at_once=True)
                return
            missing = next(entry for entry in self.state.inputs_of(stage) if not entry.is_there)
            root = missing.failure.blocked_by if missing.failure else None
            result = Failure(stage.name, blocked_by=root or missing.stage.name)
        if isinstance(result, Fault):
            self._try_again(stage, f"{result.error} on {result.place}")
        elif not isinstance(result, Failure):
            self.listener.ended(self.state.done(result))
        elif result.blocked_by and not self.state.stages[result.blocked_by].has_failed:
            self.state.put_back(stage)  # what it needs is tried again, and it after that
        else:
            self._fail(result)

    def _try_again(self, stage: Stage, why: str, at_once: bool = False) -> None:
        """Put a stage back that met a fault, unless it met too many since its last checkpoint."""
        attempts = self.attempts.setdefault(stage.name, Attempts())
        if attempts.may_go_on(checkpoint_time(self.store, stage.identity)):
            self.listener.noted(stage.name, {"doing": f"{why}; {attempts}"})
            self.state.put_back(stage, 0.0 if at_once else attempts.pause)
        else:
            self._fail(Failure(stage.name, f"{why}, {attempts.faults} times without a later checkpoint"))

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
            storage=self.store.location,
            dataset_root=absolute(self.recipe.dataset.root),
            resources=self.recipe.resources,
            placement=stage.placement,
            facts=stage.facts,
            recipe=self.recipe.name,
            tracking=tracking_of(self.recipe, self.store),
            status=self.status,
        )


def _first_sentence(error: Exception) -> str:
    return re.split(r"\. |\n", str(error).strip())[0].rstrip(".")


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
