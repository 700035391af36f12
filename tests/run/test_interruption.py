"""Killed and interrupted runs: resumed to bitwise the same students."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

from tests.run.conftest import Finished, Place, environment, weights_of
from tests.run.terminal import WAIT_SECONDS, Terminal

pytestmark = pytest.mark.long

Run = tuple[Place, Finished]


def start_until(place: Place, happened: Callable[[str], bool]) -> subprocess.Popen[str]:
    """Start the run and wait until ``happened``, which is given what the run has printed."""
    log = place.folder / f"log-{time.monotonic_ns()}"
    with log.open("w") as stream:
        process = subprocess.Popen(
            place.command(), cwd=place.folder, env=environment(), stdout=stream, stderr=subprocess.STDOUT, text=True
        )
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened(log.read_text()):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"what was waited for never came:\n{log.read_text()[-3000:]}")
        time.sleep(0.02)
    return process


def test_a_run_interrupted_and_killed_at_six_moments_resumes_to_the_same_weights(
    undisturbed: Run, make_place: Callable[[], Place], ray_address: str
) -> None:
    place = make_place()
    place.recipe({"methods": ["ces_kd"], "seeds": [0]})  # whose student depends on everything before it

    def a_ta_has_a_checkpoint(said: str) -> bool:
        return "train/plain_cnn_8 done" in said and bool(list(place.storage.glob("checkpoints/*/checkpoint_*")))

    def scoring_has_begun(said: str) -> bool:
        return "score: starting" in said

    def a_trial_is_stored(said: str) -> bool:
        return bool(list(place.storage.glob("trials/*.json")))

    interrupt(place, "starting Ray")
    kill(place, "train/plain_cnn_6", a_ta_has_a_checkpoint)
    interrupt(place, "▶ train/plain_cnn_6", "--address", ray_address)  # what is left may be done on another cluster
    kill(place, "score", scoring_has_begun)
    interrupt(place, "▶ search", "--address", ray_address)
    kill(place, "search", a_trial_is_stored)
    finished = place.run(address=ray_address)
    assert finished.code == 0, finished.err[-3000:]
    weights = weights_of(place)
    assert weights and weights.items() <= weights_of(undisturbed[0]).items()


def kill(place: Place, stage: str, happened: Callable[[str], bool]) -> None:
    """Kill the run, as a power cut would, while ``stage`` is being made."""
    process = start_until(place, happened)
    process.kill()
    process.wait()
    assert stage not in place.artifacts(), "it was killed too late to show anything"


def interrupt(place: Place, moment: str, *arguments: str) -> None:
    """Press Ctrl-C when ``moment`` is shown, and read what is said."""
    terminal = Terminal(place, *arguments)
    assert terminal.interrupt_at(moment) == 130, terminal.shown[-3000:]
    assert "finished stages are cached, and the same command continues:" in terminal.text
    assert f"python -m orchestrator.run {place.folder}" in terminal.text and "Traceback" not in terminal.text
