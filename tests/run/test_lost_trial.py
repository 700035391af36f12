"""Trials whose process dies: retried, or left open without a trace in a result."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from orchestrator.stages.faults import MOST_RETRIES
from tests.run.conftest import TINY, Finished, Place, copy_of
from tests.run.test_interruption import start_until

pytestmark = [pytest.mark.long, pytest.mark.thorough]

TIMES = ("seconds", "slot_seconds")


def processes() -> Iterator[tuple[int, int, str]]:
    """(id, parent, command) of every process; one that ends meanwhile is left out."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            yield int(folder.name), parent, (folder / "cmdline").read_text()


def trials_at_work(run: int) -> list[int]:
    """Processes of a run in which Tune trains a trial."""
    mine = set(descendants_of(run))
    return [
        process for process, _, command in processes() if command.startswith("ray::ImplicitFunc") and process in mine
    ]


def descendants_of(ancestor: int) -> list[int]:
    """Processes that a process started, and those that they did."""
    parents = {process: parent for process, parent, _ in processes()}

    def descends(process: int) -> bool:
        return process in parents and (parents[process] == ancestor or descends(parents[process]))

    return [process for process in parents if descends(process)]


def trials_of(place: Place) -> list[dict[str, Any]]:
    trials = place.report()["search"]["trials"]
    return [{key: value for key, value in trial.items() if key not in TIMES} for trial in trials]


def test_a_trial_whose_process_dies_is_retried_and_has_no_result_until_it_ends(
    undisturbed: tuple[Place, Finished], make_place: Callable[[], Place], ray_address: str
) -> None:
    place = copy_of(undisturbed[0], make_place)
    wanted = trials_of(place)[:1]  # of the first round, which is the same however many follow
    shutil.rmtree(place.storage / "trials")
    place.recipe({"search": {**TINY["search"], "trials": 1}, "methods": ["ces_kd"], "seeds": [0]})

    run = start_until(place, lambda _: bool(list(place.storage.glob("checkpoints/trial-*/state.safetensors"))))
    killed: set[int] = set()
    while run.poll() is None:
        for process in trials_at_work(run.pid):
            if process not in killed:
                killed.add(process)
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        time.sleep(0.1)
    assert run.returncode == 1
    (log,) = place.folder.glob("log-*")
    said = log.read_text()
    assert f"its process died, {MOST_RETRIES + 1} times without a later checkpoint" in said
    assert "its process died; tried again (1 of 3)" in said and "the same command asks for" in said
    assert "Traceback" not in said
    assert len(killed) >= MOST_RETRIES + 1

    finished = place.run(address=ray_address)
    assert finished.code == 0, finished.err[-3000:]
    assert trials_of(place) == wanted
