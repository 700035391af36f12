"""Status and outcome of stages in words."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from orchestrator.execution.capacity import request_words
from orchestrator.execution.run_state import RunState, StageEntry
from orchestrator.pipeline.kinds import KINDS
from orchestrator.pipeline.stage_state import StageState
from orchestrator.stages.status import Status


def describe(status: Status, seconds_left: float | None = None) -> str:
    """Returns a stage's status in words, the most important first."""
    if "doing" in status:
        return str(status["doing"])
    unit = status.get("unit", "step")
    words = [f"{unit} {status['step']:,} of {status['steps']:,}"]
    if seconds_left is not None:
        words.append(f"{duration(seconds_left)} left")
    if status.get("accuracy") is not None:
        words.append(f"{'best' if unit == 'trials' else 'validation'} {status['accuracy']:.1%}")
    if status.get("images_per_second"):
        words.append(f"{status['images_per_second']:,.0f} images/s")
    if status.get("best"):
        words.append(f"with {settings(status['best'])}")
    return ", ".join(words)


def wait_for_room(run: RunState, entry: StageEntry) -> str:
    """Returns what a stage asks for whose workers do not run yet, what there is, and for how long it has waited."""
    placement, room = entry.stage.placement, 0.0
    if run.capacity is not None:
        room = min(run.capacity.free_workers(placement.cpus, placement.gpus), placement.workers)
    waited = duration(time.time() - run.waits_since(entry))
    if room >= placement.least:
        return f"{request_words(placement)} start, since {waited}"
    return f"waits for {request_words(placement)}; the cluster has room for {room:g}; since {waited}"


def settings(config: Mapping[str, Any]) -> str:
    """Returns a point of a search in words."""
    shown = {key: f"{value:.3g}" if isinstance(value, float) else value for key, value in config.items()}
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def duration(seconds: float) -> str:
    """Returns a duration such as ``0:07``, ``12:30``, ``3:05:00`` or ``2 d 04:00``."""
    whole = round(seconds)
    days, hours, minutes = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours:02d}:{minutes:02d}"
    if hours:
        return f"{hours}:{minutes:02d}:{whole % 60:02d}"
    return f"{minutes}:{whole % 60:02d}"


def outcome(entry: StageEntry) -> str:
    """Returns the results of a stage that has ended, or why it has none; nothing for one that was there before."""
    if entry.state == "done" and entry.artifact:
        return KINDS[entry.stage.kind].outcome(entry.artifact.results)
    if entry.failure is None:
        return ""
    if entry.failure.error:
        return entry.failure.error.splitlines()[0]
    return f"can't be done without {entry.failure.blocked_by}"


def snapshot(run: RunState) -> dict[str, StageState]:
    """Returns the state of every stage with its status in words, by identity."""
    return {
        entry.stage.identity: StageState(
            entry.state,
            describe(entry.status, entry.seconds_left) if entry.state == "running" else outcome(entry),
            entry.since,
            entry.failure.error if entry.failure else None,
        )
        for entry in run.stages.values()
    }
