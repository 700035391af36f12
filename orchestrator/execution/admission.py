"""Admission: the stages that are to be handed to Ray now. Pure; imports neither torch nor ray.

Ray starts a stage as soon as its inputs and resources are there, and knows no priorities. Handed over all at once,
short students would take every CPU that a network of the ladder, on the longest path, waits for. So stages are admitted
in this order:

- Stages that start workers or trials, and brief ones, as soon as all that they need exists or is in Ray's hands: Ray
  waits for the rest.
- A network of the ladder also waits for its inputs here, unless they end in about the time that its workers take to
  start: then it is started ahead, and the start of its processes costs no time.
- A single-worker training (a final student, a fold) waits until its inputs are there and a slot is free that nothing
  else in Ray's hands uses or is to have as soon as it is free.
"""

from __future__ import annotations

from orchestrator.execution.capacity import Capacity
from orchestrator.execution.run_state import RunState
from orchestrator.pipeline.graph import Stage
from orchestrator.pipeline.kinds import KINDS

AHEAD_SECONDS = 12.0  # about what Ray Train takes from being asked to the first step


def admit(run: RunState, capacity: Capacity) -> list[Stage]:
    """Returns the waiting stages that are to be handed to Ray now, in this order."""
    admission = _Admission(run, capacity)
    waiting = run.waiting()
    for stage in sorted(waiting, key=_waits_for_slot):  # stable: else in the plan's order
        admission.consider(stage)
    return admission.admitted


def _waits_for_slot(stage: Stage) -> bool:
    return stage.placement.launch == "in_process" and KINDS[stage.kind].takes_slots


class _Admission:
    """One decision; ``active`` are the stages in Ray's hands, with those admitted so far."""

    def __init__(self, run: RunState, capacity: Capacity) -> None:
        self.run, self.slots = run, capacity.slots
        self.active = {entry.stage.name: entry.stage for entry in run.stages.values() if entry.is_active}
        self.admitted: list[Stage] = []

    def consider(self, stage: Stage) -> None:
        if self._may_go(stage):
            self.admitted.append(stage)
            self.active[stage.name] = stage

    def _may_go(self, stage: Stage) -> bool:
        inputs = self.run.inputs_of(stage)
        missing = [entry.stage for entry in inputs if not entry.is_there]
        if not all(upstream.name in self.active for upstream in missing):
            return False
        if _waits_for_slot(stage):
            return not missing and self._has_room_for(stage)
        if stage.placement.launch == "ray_train":
            return all(self._ends_soon(upstream, stage.placement.workers) for upstream in missing)
        return True

    def _has_room_for(self, stage: Stage) -> bool:
        """Whether a slot is free that nothing on a longer path is to have."""
        if any(self._waits_for_whole_gpu(other, stage) for other in self.active.values()):
            return False  # single-worker trainings would take parts of the GPU
        return sum(map(self._slots_of, self.active.values())) < self.slots

    def _waits_for_whole_gpu(self, other: Stage, stage: Stage) -> bool:
        """Whether workers of ``other`` wait for more of a GPU than ``stage`` takes."""
        larger = other.placement.launch == "ray_train" and other.placement.gpus > stage.placement.gpus
        return larger and self.run.stages[other.name].state == "waiting" and self.run.is_ready(other)

    def _slots_of(self, stage: Stage) -> int:
        """Returns the slots that a stage in Ray's hands uses, or is to have as soon as they are free."""
        # A search's trials are students too, and what waits for it comes last: its rounds go before other students.
        starts = stage.placement.launch == "ray_train" or self.run.is_ready(stage)
        return stage.placement.workers if KINDS[stage.kind].takes_slots and starts else 0

    def _ends_soon(self, stage: Stage, workers: int) -> bool:
        """Whether a stage ends in about the time that the processes of a training's ``workers`` take to start."""
        if stage.placement.launch == "ray_data":
            # It holds no slot between its tasks: with none left to them it would never end.
            training = [item for item in self.active.values() if item.placement.launch == "ray_train"]
            if sum(item.placement.workers for item in training) + workers >= self.slots:
                return False
        left = self.run.stages[stage.name].seconds_left
        return KINDS[stage.kind].ends_soon or (left is not None and left <= AHEAD_SECONDS)
