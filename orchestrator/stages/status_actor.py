"""Actor that collects the status of all stages of a run."""

from __future__ import annotations

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

PATIENCE_SECONDS = 10.0


class RemoteBoard:
    """Handle on the board actor; posting never waits, and a board that is lost costs nobody its work."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor

    def post(self, stage: str, status: dict[str, Any]) -> None:
        self.actor.post.remote(stage, status)

    def post_leading(self, stage: str, seconds: float) -> None:
        self.actor.post_leading.remote(stage, seconds)

    def take(self) -> dict[str, dict[str, Any]]:
        """The latest status of each stage that has posted one since the last call."""
        try:
            return dict(ray.get(self.actor.take.remote()))
        except ray.exceptions.RayError:
            return {}

    def leading(self, stage: str) -> float:
        try:
            return float(ray.get(self.actor.leading.remote(stage), timeout=PATIENCE_SECONDS))
        except ray.exceptions.RayError:  # a network that is trained is worth more than what its cost lacks
            return 0.0


@ray.remote(num_cpus=0)
class BoardActor:
    """Collects the latest status of each stage until the driver takes it."""

    def __init__(self) -> None:
        self.statuses: dict[str, dict[str, Any]] = {}
        self.leading_seconds: dict[str, float] = {}

    def post(self, stage: str, status: dict[str, Any]) -> None:
        self.statuses[stage] = status

    def post_leading(self, stage: str, seconds: float) -> None:
        self.leading_seconds[stage] = seconds

    def leading(self, stage: str) -> float:
        return self.leading_seconds.get(stage, 0.0)

    def take(self) -> dict[str, dict[str, Any]]:
        taken, self.statuses = self.statuses, {}
        return taken


def open_board() -> RemoteBoard:
    """Returns a new status actor on this process's node; on another one it would be lost with that node."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return RemoteBoard(BoardActor.options(scheduling_strategy=here).remote())  # type: ignore[attr-defined]
