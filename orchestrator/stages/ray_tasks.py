"""Functions as Ray tasks, with the resources that they ask for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import ray


def task(function: Callable[..., Any], cpus: float, gpus: float = 0.0, name: str | None = None) -> Any:
    """Returns a function as a Ray task that is not retried by Ray.

    On a GPU each call has a process of its own, which ends with it: a process that is used again would go on computing
    on the GPU of its first call, and keep memory there. On CPUs processes are used again, with what they imported.

    Calls on GPUs are spread over the nodes. By default Ray fills a node until half of its CPUs are taken: few students
    would share the processors and disks of one node while others idle. (A trial's placement group of one bundle goes to
    the emptiest node by itself.)
    """
    remote = _remote(function, gpus > 0)
    strategy = "SPREAD" if gpus else "DEFAULT"
    return remote.options(
        num_cpus=cpus, num_gpus=gpus or None, name=name or function.__name__, scheduling_strategy=strategy
    )


@cache
def _remote(function: Callable[..., Any], on_gpu: bool) -> Any:
    """Returns the remote function; ``max_calls`` has an effect in the decorator alone."""
    if on_gpu:
        return ray.remote(num_gpus=1, max_calls=1, max_retries=0)(function)
    return ray.remote(max_retries=0)(function)
