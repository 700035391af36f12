"""How long a run took against the least that it could have taken on its cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.artifacts import Artifact
from orchestrator.graph import Stage


def schedule(stages: Iterable[Stage], made: dict[str, Artifact], makespan: float, slots: float) -> dict[str, Any]:
    """What the report says of the stages that one execution made.

    The lower bound is the greater of the critical path (the longest chain of stages that wait for each other, each as
    quick as if all the workers that it can use had been free) and the work divided by the slots. Both count the start
    of processes as work.

    Args:
        stages: all stages of the run, each after what it needs.
        made: the artifacts that this execution made, by identity.
        makespan: seconds from Ray being up to the last stage's end.
        slots: how many single-worker trainings the cluster has room for at once.
    """
    reach: dict[str, tuple[float, list[str]]] = {}  # the longest chain that ends in a stage
    work = 0.0
    for stage in stages:
        artifact = made.get(stage.identity)
        if artifact is None:
            continue
        cost = artifact.results["cost"]
        work += cost["slot_seconds"]
        before = [reach[item.identity] for _, item in stage.inputs if item.identity in reach]
        seconds, names = max(before, key=lambda chain: chain[0], default=(0.0, []))
        own = cost["slot_seconds"] / max(1.0, min(cost["width"], slots))
        reach[stage.identity] = (seconds + own, [*names, stage.name])
    critical, path = max(reach.values(), key=lambda chain: chain[0], default=(0.0, []))
    bound = max(critical, work / slots)
    return {
        "makespan_seconds": makespan,
        "lower_bound_seconds": bound,
        "ratio": makespan / bound if bound else None,
        "work_seconds": work,
        "slots": slots,
        "critical_path_seconds": critical,
        "critical_path": path,
        "stages": len(reach),
    }
