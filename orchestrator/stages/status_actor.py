"""Actor that collects the status of all stages of a run."""

from __future__ import annotations

import time
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.stages.status import Fault, Posted, Status

PATIENCE_SECONDS = 10.0
# A place whose every call fails at once would take all work that waits: it rests longer with each fault.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 15.0, 600.0
REMEMBERED_SECONDS = 3600.0


class StatusHandle:
    """Handle on the status actor; posting never waits, and the loss of the actor costs no stage its work."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor

    def post(self, stage: str, status: Status) -> None:
        self.actor.post.remote(stage, status)

    def moved(self) -> None:
        self.actor.moved.remote()

    def post_fault(self, fault: Fault) -> None:
        # Waited for: the process may end right after it.
        self._ask(self.actor.post_fault.remote(fault), None)

    def pause_after_fault(self, place: str) -> float:
        return float(self._ask(self.actor.pause_after_fault.remote(place), 0.0))

    def post_controller_seconds(self, stage: str, seconds: float) -> None:
        self.actor.post_controller_seconds.remote(stage, seconds)

    def take(self) -> Posted:
        """Returns what was posted since the last call."""
        try:
            posted: Posted = ray.get(self.actor.take.remote())
            return posted
        except ray.exceptions.RayError:
            return Posted()

    def controller_seconds(self, stage: str) -> float:
        # A network that is trained is worth more than what its cost lacks.
        return float(self._ask(self.actor.controller_seconds.remote(stage), 0.0))

    def _ask(self, reference: Any, otherwise: Any) -> Any:
        try:
            return ray.get(reference, timeout=PATIENCE_SECONDS)
        except ray.exceptions.RayError:
            return otherwise


@ray.remote(num_cpus=0)
class StatusActor:
    """Collects the latest status of each stage until the driver takes it."""

    def __init__(self) -> None:
        self.posted = Posted()
        self.seconds_of_controller: dict[str, float] = {}
        self.faults_at: dict[str, list[float]] = {}  # times, by place

    def post(self, stage: str, status: Status) -> None:
        self.posted.statuses[stage] = status

    def moved(self) -> None:
        self.posted.moved = True

    def post_fault(self, fault: Fault) -> None:
        self.posted.faults.append(fault)

    def pause_after_fault(self, place: str) -> float:
        now = time.monotonic()
        recent = [at for at in self.faults_at.get(place, []) if now - at < REMEMBERED_SECONDS]
        self.faults_at[place] = [*recent, now]
        return min(FIRST_PAUSE_SECONDS * 2 ** len(recent), LONGEST_PAUSE_SECONDS)

    def post_controller_seconds(self, stage: str, seconds: float) -> None:
        self.seconds_of_controller[stage] = seconds

    def controller_seconds(self, stage: str) -> float:
        return self.seconds_of_controller.get(stage, 0.0)

    def take(self) -> Posted:
        taken, self.posted = self.posted, Posted()
        return taken


def open_status_actor() -> StatusHandle:
    """Returns a new status actor on this process's node; on another one it would be lost with that node."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return StatusHandle(StatusActor.options(scheduling_strategy=here).remote())  # type: ignore[attr-defined]
