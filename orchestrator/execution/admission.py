"""Admission: the stages that are to be handed to Ray now. Pure; imports neither torch nor ray.

Ray starts a stage as soon as its inputs and resources are there, and knows no priorities. Handed over all at once,
short students would take every CPU that a network of the ladder, on the longest path, waits for. So stages are admitted
in this order:

- Stages that read or score data, and brief ones, as soon as all that they need exists or is in Ray's hands: Ray waits
  for the rest.
- A network of the ladder also waits for its inputs here, unless they end in about the time that its workers take to
  start: then it is started ahead, and the start of its processes costs no time.
- A search waits until its inputs are there, and as long as a network of the ladder waits for more of a GPU or of a node
  than a trial takes: trials would take parts of it, one after another. A search that no expert takes part in is ready
  with the data: it also waits as long as a network of the ladder is to start.
- So does a final student or a fold, and until all its workers have room beside everything that Ray has in its hands.

Room is counted in CPUs and GPUs, node by node: a network of four workers takes that of four, one of a whole GPU that of
all students that would share it.
"""

from __future__ import annotations

from orchestrator.execution.capacity import Capacity, Room
from orchestrator.execution.run_state import RunState
from orchestrator.pipeline.graph import Stage
from orchestrator.pipeline.kinds import KINDS
from orchestrator.pipeline.placement import Placement
from orchestrator.recipe.methods import method_of

AHEAD_SECONDS = 12.0  # about what Ray Train takes from being asked to the first step


def admit(run: RunState, capacity: Capacity) -> list[Stage]:
    """Returns the waiting stages that are to be handed to Ray now, in this order."""
    waiting = run.waiting()
    if not waiting:
        return []
    admission = _Admission(run, capacity)
    for stage in sorted(waiting, key=_turn):  # stable: else in the plan's order
        admission.consider(stage)
    return admission.admitted


def _turn(stage: Stage) -> int:
    """Returns a stage's place: what the longest path may need, then searches, then students and folds."""
    return 2 if _waits_for_room(stage) else 1 if stage.placement.launch == "ray_tune" else 0


def _waits_for_room(stage: Stage) -> bool:
    """Whether a stage is a student or a fold: not on the longest path."""
    takes = KINDS[stage.kind].takes_slots
    return takes and (stage.placement.launch == "in_process" or stage.facts.part in ("student", "fold"))


class _Admission:
    """One decision; ``active`` are the stages in Ray's hands, with those admitted so far."""

    def __init__(self, run: RunState, capacity: Capacity) -> None:
        self.run, self.capacity = run, capacity
        self.active = {entry.stage.name: entry.stage for entry in run.stages.values() if entry.is_active}
        self.admitted: list[Stage] = []
        self.rooms: list[Room] | None = None  # what the active stages leave; counted when first needed
        self.refused: set[Placement] = set()  # for which there is no room, nor can there be any later in the decision

    def consider(self, stage: Stage) -> None:
        if self._may_go(stage):
            self.admitted.append(stage)
            self.active[stage.name] = stage
            for room in self.rooms or ():
                self._take(room, stage)

    def _may_go(self, stage: Stage) -> bool:
        inputs = self.run.inputs_of(stage)
        missing = [entry.stage for entry in inputs if not entry.is_there]
        if not all(upstream.name in self.active for upstream in missing):
            return False
        if _waits_for_room(stage):
            return not missing and self._has_room_for(stage)
        if stage.placement.launch == "ray_tune":
            return not (missing or self._is_to_leave_a_node(stage) or self._is_to_let_the_ladder_start(stage))
        if stage.placement.launch == "ray_train":
            return all(self._ends_soon(upstream, stage) for upstream in missing)
        return True

    def _has_room_for(self, stage: Stage) -> bool:
        """Whether there is room for a stage that nothing on a longer path is to have."""
        if stage.placement in self.refused:
            return False
        has = not self._is_to_leave_a_node(stage) and self._finds_room(stage)
        if not has:
            self.refused.add(stage.placement)
        return has

    def _finds_room(self, stage: Stage) -> bool:
        if not any(self._takes_room(other) for other in self.active.values()):
            return True  # it has the cluster to itself, however small that is
        if self.rooms is None:
            self.rooms = self.capacity.rooms()
            for room in self.rooms:
                for other in self.active.values():
                    self._take(room, other)
        return any(room.has(stage.placement) for room in self.rooms)

    def _is_to_leave_a_node(self, stage: Stage) -> bool:
        """Whether a stage would take parts of a GPU or node that a network of the ladder waits for as a whole."""
        return any(self._waits_for_more_of_a_node(other, stage) for other in self.active.values())

    def _is_to_let_the_ladder_start(self, search: Stage) -> bool:
        """Whether a search would take the room of a network on the longest path, on which it is not itself."""
        if search.facts.method is None or method_of(search.facts.method).has_experts:
            return False
        return any(other.placement.launch == "ray_train" and self._is_to_start(other) for other in self.active.values())

    def _waits_for_more_of_a_node(self, other: Stage, stage: Stage) -> bool:
        """Whether workers of ``other`` wait for more of a GPU, or of a node's CPUs, than ``stage`` takes."""
        its, mine = other.placement, stage.placement
        larger = its.launch == "ray_train" and (its.gpus > mine.gpus or its.cpus > mine.cpus)
        return larger and self._is_to_start(other)

    def _is_to_start(self, stage: Stage) -> bool:
        return self.run.stages[stage.name].state == "waiting" and self.run.is_ready(stage)

    def _takes_room(self, stage: Stage) -> bool:
        """Whether a stage in Ray's hands uses room, or is to have it as soon as it is free."""
        # A search's trials are students too, and what waits for it comes last: its rounds go before other students.
        starts = stage.placement.launch == "ray_train" or self.run.is_ready(stage)
        return KINDS[stage.kind].takes_slots and starts

    def _take(self, room: Room, stage: Stage) -> None:
        if self._takes_room(stage):
            room.take(stage.placement)

    def _ends_soon(self, stage: Stage, waiting: Stage) -> bool:
        """Whether a stage ends in about the time that the processes of a training that waits for it take to start."""
        if stage.placement.launch == "ray_data":
            # It holds nothing between its tasks: with no room left to them it would never end.
            training = [item for item in self.active.values() if item.placement.launch == "ray_train"]
            if not any(_has_room_beside(room, [*training, waiting], self.capacity) for room in self.capacity.rooms()):
                return False
        left = self.run.stages[stage.name].seconds_left
        return KINDS[stage.kind].ends_soon or (left is not None and left <= AHEAD_SECONDS)


def _has_room_beside(room: Room, stages: list[Stage], capacity: Capacity) -> bool:
    """Whether stages leave room for one single-worker training."""
    return all(room.take(stage.placement) >= stage.placement.least for stage in stages) and room.has(capacity.slot)
