"""Status of running stages: what their processes post, and who receives it. Imports neither torch nor ray."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypedDict

from orchestrator.artifacts.trials import Point


class Status(TypedDict, total=False):
    """Progress of a stage: in words (``doing``), or in steps, with what is known of its pace.

    ``unit`` names the steps where they are not training steps; ``accuracy`` is the last validation's, or the best
    trial's, whose settings are ``best``; ``node`` is the host that posted, ``node_id`` its id in Ray;
    ``waits_for_room``: none of its trials has been started.
    """

    doing: str
    step: int
    steps: int
    unit: str
    accuracy: float | None
    best: Point
    images_per_second: float | None
    seconds_left: float | None
    whole_seconds: float | None
    waiting_for_data: float | None
    node: str
    node_id: str
    waits_for_room: bool


@dataclass(frozen=True)
class Fault:
    """A fault of a machine, as the process that met it reports it.

    Attributes:
        stage: name of the stage that the process worked on.
        place: host of the process, with its GPU if it has one.
        error: the error in one line.
    """

    stage: str
    place: str
    error: str


@dataclass
class Posted:
    """Posts since the last time: the latest status of each stage, faults, and whether trials moved on."""

    statuses: dict[str, Status] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    moved: bool = False


class StatusReceiver(Protocol):
    """Receiver of a stage's status, and of costs that its worker processes can't measure."""

    def post(self, stage: str, status: Status) -> None:
        """Replace the stage's status."""
        ...

    def moved(self) -> None:
        """Tell that work without a status of its own, such as a trial's step, goes on."""
        ...

    def post_fault(self, fault: Fault) -> None:
        """Tell that a stage's process met a fault of its machine and ends."""
        ...

    def pause_after_fault(self, place: str) -> float:
        """Record a fault at a place. Returns for how many seconds the place is to take no other work."""
        ...

    def post_controller_seconds(self, stage: str, seconds: float) -> None:
        """Replace the CPU time that the controller of the stage's workers has taken."""
        ...

    def controller_seconds(self, stage: str) -> float:
        """Returns the controller's CPU time that was posted last, 0 if none was."""
        ...


class NoStatusReceiver:
    """Discards every status."""

    def post(self, stage: str, status: Status) -> None:
        return None

    def moved(self) -> None:
        return None

    def post_fault(self, fault: Fault) -> None:
        return None

    def pause_after_fault(self, place: str) -> float:
        return 0.0

    def post_controller_seconds(self, stage: str, seconds: float) -> None:
        return None

    def controller_seconds(self, stage: str) -> float:
        return 0.0
