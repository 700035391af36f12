"""Connects to the Ray cluster that a run uses, or starts Ray here; what goes wrong becomes one message."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from orchestrator.last_resort import keep_details
from orchestrator.ray_address import Cluster, check_answers, find_cluster
from orchestrator.ray_folder import prepare_folder
from orchestrator.ray_token import prepare_token
from orchestrator.recipe import RecipeError

# Idle processes that a local Ray keeps beyond one a CPU: stages that only wait for their workers take one each, and a
# new process would import torch again.
SPARE_PROCESSES = 4
LONGEST_REASON = 300  # characters
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def find(address: str | None) -> Cluster | None:
    """The cluster to use, which answers; None when Ray is to be started here.

    Raises:
        RecipeError: when the cluster can't be used.
    """
    cluster = find_cluster(address)
    if cluster:
        check_answers(cluster)
    return cluster


def connect(cluster: Cluster | None, say: Callable[[str], None], verbose: bool = False) -> None:
    """Connect to the cluster that ``find`` returned, else start Ray here.

    Called before ray is imported elsewhere, since variables that ray reads then are set here and by ``find``.

    Args:
        cluster: the cluster, or None.
        say: is given a line about Ray's files, where they do not lie in the usual place.
        verbose: show what Ray says.

    Raises:
        RecipeError: when that fails, with Ray's reason and a file with all that Ray said, or this machine can't run it.
    """
    if cluster is None:
        os.environ.setdefault("RAY_num_workers_soft_limit", str((os.cpu_count() or 1) + SPARE_PROCESSES))
        prepare_token()
        line = prepare_folder()
        if line:
            say(line)
    import ray

    # Nobody takes this machine away with a warning; each network's watcher for that would be one more process to start.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    level = logging.INFO if verbose else logging.ERROR
    address = cluster.address if cluster else "local"
    with _standard_error(shown=verbose) as kept:
        try:
            ray.init(address=address, log_to_driver=verbose, logging_level=level, configure_logging=True)
            return
        except Exception as error:  # of any class: Ray starts a dozen processes
            failure = error
            said = "".join(traceback.format_exception(error))
        kept.seek(0)
        said += kept.read()
    details = keep_details(said)
    if cluster:
        raise RecipeError(f"Ray cluster {cluster} can't be used: {_reason(failure)}; {details}") from failure
    raise RecipeError(
        f"Ray can't be started here: {_reason(failure)}; {details}. Check the variables that begin with RAY_, and "
        "that ports, memory and room in the temporary folder are free; or give a running cluster with --address"
    ) from failure


def disconnect() -> None:
    """Leave the cluster, or end a Ray that was started here; nothing happens where there is no connection."""
    ray = sys.modules.get("ray")
    if ray:
        ray.shutdown()


def _reason(error: BaseException) -> str:
    """The cause that Ray's error came from, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(COLOURS.sub("", f"{error}").split()) or type(error).__name__
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON].rstrip()} ..."


@contextmanager
def _standard_error(shown: bool) -> Iterator[IO[str]]:
    """A file that holds what the process, its C++ parts among it, writes to standard error meanwhile."""
    with tempfile.TemporaryFile("w+", errors="replace") as kept:
        if shown:
            yield kept
            return
        sys.stderr.flush()
        before = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield kept
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
