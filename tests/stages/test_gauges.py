"""Gauges of trainings, as a node of Ray exports them to Prometheus."""

from __future__ import annotations

import time
import urllib.request
from pathlib import Path

import pytest
import ray

from orchestrator.stages.observers import StageObserver
from orchestrator.training.pace import Timing
from tests.run.conftest import cluster
from tests.tracking.examples import job

__all__ = ["cluster"]

WAIT_SECONDS = 120.0
STAGE, RECIPE = "student/kd/seed-7", "a-recipe"
TIMING = Timing(images_per_second=1234.5, seconds_left=10.0, whole_seconds=20.0, waiting_for_data=0.25)


@ray.remote(num_cpus=0)
class Training:
    """A training's process."""

    def __init__(self, folder: Path) -> None:
        self.observer = StageObserver(job(folder, STAGE, recipe=RECIPE), None)

    def tick(self) -> None:
        self.observer.tick(30, 100, TIMING)

    def close(self) -> None:
        self.observer.close()


def exported() -> dict[str, float]:
    """Returns the gauges of the stage that the node exports, by their names."""
    (node,) = ray.nodes()
    with urllib.request.urlopen(f"http://127.0.0.1:{node['MetricsExportPort']}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    mine = [line for line in lines if f'stage="{STAGE}"' in line and f'recipe="{RECIPE}"' in line]
    return {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in mine}


def wait_for(wanted: dict[str, float]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while (found := exported()) != wanted and time.monotonic() < until:
        time.sleep(1)
    assert found == wanted


@pytest.mark.long
@pytest.mark.thorough
def test_step_speed_and_waiting_of_a_training_are_exported_and_its_end_too(cluster: None, tmp_path: Path) -> None:
    training = Training.remote(tmp_path)  # type: ignore[attr-defined]
    ray.get(training.tick.remote())
    shown = {"ray_ces_kd_step": 30.0, "ray_ces_kd_images_per_second": 1234.5, "ray_ces_kd_waiting_for_data": 0.25}
    wait_for(shown)
    ray.get(training.close.remote())
    wait_for(shown | {"ray_ces_kd_images_per_second": 0.0, "ray_ces_kd_waiting_for_data": 0.0})


def test_outside_ray_nothing_is_exported_and_nothing_raised(tmp_path: Path) -> None:
    watching = StageObserver(job(tmp_path, STAGE, recipe=RECIPE), None)
    watching.tick(30, 100, TIMING)
    watching.close()
