"""A run's makespan against the least possible on its cluster."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.artifacts.store import Artifact
from orchestrator.pipeline.graph import Stage, longest_chain
from orchestrator.report.content.schema import Makespan


def schedule(stages: Iterable[Stage], made: dict[str, Artifact], makespan: float, slots: float) -> Makespan:
    """The schedule of the stages that one execution made.

    The lower bound is the greater of the critical path (the longest chain of stages that wait for each other, each as
    quick as if all the workers that it can use had been free) and the work divided by the slots. Work includes the
    start of the processes that do it, and the start and run of Ray Train's controllers. Ray's services, Ray Train's
    lesser helpers, whose time is not reported, and the driver are left out; so is earlier work on an artifact that
    this execution has added to.

    Args:
        stages: all stages of the run, each after what it needs.
        made: the artifacts that this execution made, by identity.
        makespan: seconds from Ray being up to the last stage's end.
        slots: how many single-worker trainings the cluster has room for at once.
    """
    stages = [stage for stage in stages if stage.identity in made]
    cost = {stage.identity: made[stage.identity].results["cost"] for stage in stages}
    work = sum(each["slot_seconds"] for each in cost.values())
    alone = {name: each["slot_seconds"] / max(1.0, min(each["width"], slots)) for name, each in cost.items()}
    critical, path = longest_chain(stages, alone)
    bound = max(critical, work / slots)
    return {
        "makespan_seconds": makespan,
        "lower_bound_seconds": bound,
        "ratio": makespan / bound if bound else None,
        "work_seconds": work,
        "slots": slots,
        "critical_path_seconds": critical,
        "critical_path": path,
        "stages": len(stages),
    }
