"""The comparison of TA paths on real Ray: killed in the middle, continued, and complete."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.run.conftest import TINY, Place, environment
from tests.run.terminal import WAIT_SECONDS

pytestmark = [pytest.mark.long, pytest.mark.thorough]

LADDER = {"networks": ["plain_cnn_6", "plain_cnn_4", "plain_cnn_2"]}
OPTIONS = ("--seeds", "1", "--finalists", "1", "--final-seeds", "2")


def command(place: Place, *more: str) -> list[str]:
    recipe = place.recipe({"ladder": LADDER, "training": {**TINY["training"], "steps": 40}})
    start = [sys.executable, "-m", "orchestrator.paths", str(recipe), "--storage", str(place.storage)]
    return [*start, *OPTIONS, *more]


def kill_when(happened: Callable[[], bool], place: Place) -> None:
    """Run the command and kill it, as a power cut would, once ``happened``."""
    log = place.folder / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            command(place), cwd=place.folder, env=environment(), stdout=stream, stderr=subprocess.STDOUT
        )
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"what was waited for never came:\n{log.read_text()[-3000:]}")
        time.sleep(0.05)
    process.kill()
    process.wait()


def trained(place: Place) -> dict[str, Any]:
    """When each training that is there was done, by its name."""
    return {name: record["end"] for name, record in place.artifacts().items() if record["kind"] == "train"}


def test_a_comparison_that_was_killed_continues_and_trains_nothing_twice(
    make_place: Callable[[], Place], ray_address: str
) -> None:
    place = make_place()
    kill_when(lambda: len(trained(place)) >= 2, place)
    before = trained(place)
    assert len(before) < 4, "it was killed too late to show anything"
    done = subprocess.run(
        command(place, "--address", ray_address), cwd=place.folder, env=environment(), capture_output=True, text=True,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    after = trained(place)
    # The teacher, the TA, a student of each, a finalist's second seed.
    assert len(after) == 5 and before.items() <= after.items()
    (file,) = place.storage.glob("reports/*/paths.json")
    content = json.loads(file.read_text())
    assert content["complete"] and (content["trainings"], content["trainings_without_sharing"]) == (5, 10)
    tested = [name for name, record in place.artifacts().items() if record["kind"] == "evaluate" and "/seed-" in name]
    assert len(tested) == 2, "the finalist's students alone are tested"
    assert "Best on validation images" in done.stdout and (file.parent / "paths.html").exists()
