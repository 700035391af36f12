"""A stage as a Ray task: its function, and what becomes of its errors."""

from __future__ import annotations

import importlib
import os
import time
import traceback
from collections.abc import Callable
from typing import Any

import ray

from orchestrator.artifacts.store import Artifact
from orchestrator.pipeline.graph import Failure
from orchestrator.pipeline.kinds import KINDS
from orchestrator.stages.errors import BlockedError
from orchestrator.stages.faults import fault_class, one_line, this_place
from orchestrator.stages.job import Job, storage_faults
from orchestrator.stages.ray_tasks import task
from orchestrator.stages.startup_cost import start_up_seconds
from orchestrator.stages.status import Fault

Upstream = dict[str, tuple[str, Any]]


def start_stage(job: Job, upstream: Upstream) -> ray.ObjectRef:
    """Hand a stage to Ray; returns the reference to its artifact, Failure or Fault.

    Args:
        job: the stage's work, without its inputs.
        upstream: for each role the name of the stage that it comes from, and its artifact or a reference to it.
    """
    placement = job.placement
    # A task that starts workers, tasks or trials asks for nothing itself.
    own = (placement.cpus, placement.gpus) if placement.launch == "in_process" else (0, 0.0)
    remote = task(_run_stage, *own, name=job.name)
    if placement.launch == "ray_train":
        return remote.remote(job, upstream)
    # References that are arguments themselves are waited for by Ray; those within one are not.
    return remote.remote(job, dict.fromkeys(upstream), *(item for _, item in upstream.values()))


def _run_stage(job: Job, upstream: Upstream, *artifacts: Artifact | Failure | Fault) -> Artifact | Failure | Fault:
    """A stage as a Ray task. Returns its artifact, or a Failure, so that dependents learn which stage failed.

    Ray starts it when ``artifacts`` exist. Those in ``upstream`` (name and artifact or reference, by role) may still be
    on their way, which only trainings by Ray Train make use of.
    """
    try:
        with storage_faults(job.storage):
            if job.placement.launch == "ray_train":
                return _function(job)(job, upstream)
            job = job.with_inputs(dict(zip(upstream, artifacts, strict=True)), start_up_seconds())
            if job.placement.launch == "in_process":  # the others post a status once their workers are there
                job.say(doing="opening its inputs")
            return _function(job)(job)
    except BlockedError as error:
        return Failure(job.name, blocked_by=error.args[0])
    except Exception as error:
        kind = fault_class(error)
        if kind == "machine":
            fault = Fault(job.name, this_place(), one_line(error))
            if job.placement.launch == "in_process":
                _leave(job, fault)
            return fault
        if kind == "result":  # such as a photo that is gone
            return Failure(job.name, error=str(error))
        # A bug, here or in user-defined code: the rest of the run continues.
        return Failure(job.name, error=f"{type(error).__name__}: {error}\n{traceback.format_exc()}")


def _leave(job: Job, fault: Fault) -> None:
    """Report a fault of this machine, keep the slot for a while, and end the process: it may be of no more use.

    The stage is tried again meanwhile. A slot that were free at once would take it again, and all that waits after it.
    """
    job.status.post_fault(fault)
    time.sleep(job.status.pause_after_fault(fault.place))
    os._exit(1)


def _function(job: Job) -> Callable[..., Artifact]:
    """Returns the function of a stage, imported where it runs: an evaluation need not wait for Tune."""
    kind = KINDS[job.kind]
    path = kind.ray_train if job.placement.launch == "ray_train" else kind.function
    assert path is not None, f"no function for {job.kind} by Ray Train"
    module, name = path.split(":")
    found: Callable[..., Artifact] = getattr(importlib.import_module(module), name)
    return found
