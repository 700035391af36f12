"""Connects to the Ray cluster that a run uses, or starts Ray here; what goes wrong becomes one message."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

from orchestrator.execution.ray_address import Cluster, check_answers, find_cluster
from orchestrator.execution.ray_folder import prepare_folder
from orchestrator.execution.ray_token import prepare_token
from orchestrator.interruption import Interruption
from orchestrator.last_resort import keep_details
from orchestrator.recipe.schema import RecipeError

# Idle processes that a local Ray keeps beyond one a CPU: stages that only wait for their workers take one each, and a
# new process would import torch again.
SPARE_PROCESSES = 4
LONGEST_REASON = 300  # characters
# Of the last lines, those of a stack trace left out; the file is gone when this ends.
TELL = r"""
read word && exit
echo "$0"; grep -v "StackTrace\|^/\|^ *$" "$1" | tail -n 2 | cut -c 1-400; echo "$2"
rm -f "$1"
"""
ADVICE = (
    "Check the variables that begin with RAY_, and that ports, memory and room in the temporary folder are free; "
    "--verbose shows all that Ray says"
)
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


def connect(
    cluster: Cluster | None, interruption: Interruption, say: Callable[[str], None], verbose: bool = False
) -> None:
    """Connect to the cluster that ``find`` returned, else start Ray here.

    Called before ray is imported elsewhere, since variables that ray reads then are set here and by ``find``.

    Args:
        cluster: the cluster, or None.
        interruption: held meanwhile.
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
    # Nobody takes this machine away with a warning; each network's watcher for that would be one more process to start.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    level = logging.INFO if verbose else logging.ERROR
    address = cluster.address if cluster else "local"
    what = f"Ray cluster {cluster} can't be used" if cluster else "Ray can't be started here"
    with interruption.held(), _output(verbose) as kept, _messenger(what, kept.name, interruption):
        try:
            import ray  # reads variables of its own in C++

            ray.init(address=address, log_to_driver=verbose, logging_level=level, configure_logging=True)
            return
        except Exception as error:  # of any class: Ray starts a dozen processes
            failure = error
        kept.seek(0)
        details = keep_details("".join(traceback.format_exception(failure)) + kept.read())
    advice = "" if cluster else f". {ADVICE}"
    raise RecipeError(f"{what}: {_reason(failure)}; {details}{advice}") from failure


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
def _output(shown: bool) -> Iterator[IO[str]]:
    """A file that holds what the process, its C++ parts among it, writes to its output and errors meanwhile."""
    with tempfile.NamedTemporaryFile("w+", prefix="orchestrator-ray-", suffix=".txt", errors="replace") as kept:
        if shown:
            yield kept
            return
        before = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for descriptor in before:
            os.dup2(kept.fileno(), descriptor)
        try:
            yield kept
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for descriptor, original in before.items():
                os.dup2(original, descriptor)
                os.close(original)


@contextmanager
def _messenger(what: str, kept: str, interruption: Interruption) -> Iterator[None]:
    """A process that tells the end of this one: Ray's C++ code ends it without a word to Python.

    It tells nothing once this process has said that it goes on, or that it ends by itself.
    """
    message = f"error: {what}: Ray ended the program meanwhile; the end of what it said:"
    descriptor = os.dup(interruption.stderr)
    with subprocess.Popen(
        ["/bin/sh", "-c", TELL, message, kept, ADVICE], stdin=subprocess.PIPE, stdout=descriptor,
        stderr=subprocess.DEVNULL, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(descriptor)
        assert process.stdin is not None
        pipe = process.stdin

        def go_on() -> None:
            with suppress(OSError, ValueError):
                pipe.write(b"on\n")
                pipe.flush()

        interruption.before_end = go_on
        try:
            yield
        finally:
            go_on()
            interruption.before_end = lambda: None
