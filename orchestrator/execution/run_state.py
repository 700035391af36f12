"""State of a run: of each of its stages, and the room of its cluster. Imports neither torch nor ray.

The executor keeps it up to date; admission decides by it; the terminal and the report show it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.artifacts.store import Artifact
from orchestrator.execution.capacity import Capacity
from orchestrator.pipeline.graph import Failure, Stage
from orchestrator.pipeline.stage_state import State
from orchestrator.stages.status import Status


@dataclass
class StageEntry:
    """One stage of a run.

    Attributes:
        stage: the stage.
        state: its state; ``running`` from the first status that it posts.
        submitted: when it was handed to Ray in this run, in unix seconds; None where it was not.
        not_before: it is not handed to Ray before then, in unix seconds.
        since: when it came into its state, in unix seconds.
        status: the last status that it posted.
        artifact: its artifact, once there is one.
        failure: why there will be none in this run.
    """

    stage: Stage
    state: State = "waiting"
    submitted: float | None = None
    not_before: float = 0.0
    since: float | None = None
    status: Status = field(default_factory=Status)
    artifact: Artifact | None = None
    failure: Failure | None = None

    @property
    def is_there(self) -> bool:
        """Whether its artifact exists."""
        return self.state in ("done", "kept")

    @property
    def has_failed(self) -> bool:
        """Whether it failed itself or needs a stage that failed."""
        return self.state in ("failed", "blocked")

    @property
    def is_active(self) -> bool:
        """Whether Ray has it: it runs, or waits there for its inputs or for resources."""
        return self.submitted is not None and not (self.is_there or self.has_failed)

    @property
    def seconds(self) -> float | None:
        """Duration of the work, once it is done in this run."""
        return self.artifact.end - self.artifact.start if self.artifact and self.state == "done" else None

    @property
    def slot_seconds(self) -> float:
        """Seconds of the work added up over its workers, once it is done in this run."""
        done = self.artifact and self.state == "done"
        return float(self.artifact.results["cost"]["slot_seconds"]) if self.artifact and done else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until it ends, while it runs and its status tells them."""
        return self.status.get("seconds_left") if self.state == "running" else None

    @property
    def seconds_spent(self) -> float | None:
        """Seconds of the steps that are done, at their present pace; known wherever ``seconds_left`` is."""
        left, whole = self.seconds_left, self.status.get("whole_seconds")
        return None if left is None or whole is None else max(0.0, whole - left)

    @property
    def width(self) -> int:
        """Slots that its work can use at once."""
        return self.stage.placement.workers


class RunState:
    """State of every stage of a run.

    Args:
        stages: all stages of the plan, each after what it needs.
        kept: the artifacts that exist already, by identity.

    Attributes:
        stages: an entry for each stage, by name, in the plan's order.
        artifacts: all artifacts that exist, by identity.
        slots: single-worker trainings that the cluster has room for at once.
        most_slots: the most that there were.
        capacity: the cluster; None before it is known.
        moved: when anything was last seen to go on, in unix seconds.
    """

    def __init__(self, stages: Iterable[Stage], kept: Mapping[str, Artifact]) -> None:
        self.artifacts: dict[str, Artifact] = dict(kept)
        self.stages = {
            stage.name: StageEntry(
                stage, "kept" if stage.identity in kept else "waiting", artifact=kept.get(stage.identity)
            )
            for stage in stages
        }
        self._inputs: dict[str, list[StageEntry]] = {}  # of stages, by name
        self.slots = self.most_slots = 1.0
        self.capacity: Capacity | None = None
        self.moved = time.time()

    @property
    def made(self) -> dict[str, Artifact]:
        """The artifacts that were made in this run, by identity."""
        return {
            entry.stage.identity: entry.artifact
            for entry in self.stages.values()
            if entry.artifact and entry.state == "done"
        }

    @property
    def is_over(self) -> bool:
        """Whether every stage is there or has failed."""
        return all(entry.is_there or entry.has_failed for entry in self.stages.values())

    def set_capacity(self, capacity: Capacity) -> None:
        """Take over the cluster as it is now."""
        self.capacity = capacity
        self.set_slots(capacity.slots)

    def set_slots(self, slots: float) -> None:
        """Take over the room of the cluster as it is now."""
        self.slots, self.most_slots = slots, max(self.most_slots, slots)

    def inputs_of(self, stage: Stage) -> list[StageEntry]:
        """Returns the entries of the stages that a stage needs, each once."""
        found = self._inputs.get(stage.name)
        if found is None:
            names = dict.fromkeys(upstream.name for _, upstream in stage.inputs)
            found = self._inputs[stage.name] = [self.stages[name] for name in names]
        return found

    def is_ready(self, stage: Stage) -> bool:
        """Whether all inputs of a stage are there."""
        return all(entry.is_there for entry in self.inputs_of(stage))

    def count(self, *states: State) -> int:
        """Returns how many stages are in one of some states."""
        return sum(entry.state in states for entry in self.stages.values())

    def waiting(self) -> list[Stage]:
        """Returns the stages that may be handed to Ray and were not yet, each after what it needs."""
        now = time.time()
        return [
            entry.stage
            for entry in self.stages.values()
            if entry.state == "waiting" and entry.submitted is None and entry.not_before <= now
        ]

    def waits_since(self, entry: StageEntry) -> float:
        """Returns since when a stage has waited for its workers, in unix seconds."""
        inputs = [item.since for item in self.inputs_of(entry.stage) if item.since]
        return entry.since or max([*inputs, entry.submitted or time.time()])

    def waits_for_room(self, entry: StageEntry) -> bool:
        """Whether Ray has a stage whose inputs are there, and has not found room for its workers."""
        if entry.state == "running":
            return bool(entry.status.get("waits_for_room"))
        return entry.state == "waiting" and entry.is_active and self.is_ready(entry.stage)

    def blocked(self) -> list[Failure]:
        """Returns a failure for each waiting stage that needs one that failed, directly or not."""
        found: dict[str, Failure] = {}
        for stage in self.waiting():
            for entry in self.inputs_of(stage):
                failure = entry.failure or found.get(entry.stage.name)
                if failure:
                    found[stage.name] = Failure(stage.name, blocked_by=failure.blocked_by or failure.stage)
                    break
        return list(found.values())

    # -- changes -------------------------------------------------------------------------------------------------

    def submitted(self, stage: Stage) -> None:
        """A stage was handed to Ray."""
        self.stages[stage.name].submitted = self.moved = time.time()

    def put_back(self, stage: Stage, seconds: float = 0.0) -> None:
        """A stage is to be handed to Ray again, not before some seconds have passed."""
        entry = self.stages[stage.name]
        entry.state, entry.since, entry.status, entry.submitted = "waiting", None, Status(), None
        entry.not_before = time.time() + seconds

    def posted(self, name: str, status: Status) -> None:
        """A stage has posted a status; the first one tells that it runs."""
        entry, self.moved = self.stages[name], time.time()
        if entry.state == "waiting":
            entry.state, entry.since = "running", time.time()
        entry.status = status

    def done(self, artifact: Artifact) -> StageEntry:
        """A stage has made its artifact. Returns its entry."""
        entry = self.stages[artifact.name]
        self.artifacts[artifact.identity] = artifact
        self.moved = time.time()
        entry.state, entry.since, entry.artifact = "done", artifact.end, artifact
        return entry

    def failed(self, failure: Failure) -> StageEntry:
        """A stage failed, or needs one that did. Returns its entry."""
        entry, self.moved = self.stages[failure.stage], time.time()
        entry.state, entry.since = "failed" if failure.error else "blocked", time.time()
        entry.failure = failure
        return entry
