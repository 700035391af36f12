"""Forecasts over whole runs, refreshed twice a second, with timings of real trainings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from orchestrator.pipeline.graph import Stage
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.stages.status import Status
from orchestrator.training.pace import Pace
from tests.progress.runs import Run

REFRESH, TICK = 0.5, 1.0  # seconds
LARGEST_JUMP = 1.5  # factor between two refreshes
ENOUGH = 20.0  # seconds left below which a factor says little
STEPS, INTERVAL = 600, 40
ONE_STEP = {"plain_cnn_8": 0.15, "plain_cnn_6": 0.1, "plain_cnn_4": 0.06, "plain_cnn_2": 0.03}  # seconds


class Machine:
    """Runs stages one after another on a simulated clock, with the statuses of real stages."""

    def __init__(self, run: Run, validation: float, seed: int) -> None:
        self.run, self.validation = run, validation  # in steps
        self.draws = np.random.default_rng(seed)
        self.now = 0.0

    def forecasts(self) -> Iterator[tuple[float, float]]:
        """(time, seconds left) at each refresh at which a forecast is shown."""
        shown = 0.0
        for stage in self.run.plan.stages:
            for _ in self._work(stage):
                while shown + REFRESH <= self.now:
                    shown += REFRESH
                    left = self.run.seconds_left()
                    if left is not None:
                        yield shown, left

    def _work(self, stage: Stage) -> Iterator[None]:
        began = self.now
        self.run.post({stage.name: {"doing": "opening its inputs"}})
        yield from self._spend(1.0)
        if isinstance(stage.spec, TrainSpec):
            yield from self._train(stage.name, stage.spec.network.name)
        artifact = self.run.artifacts[stage.name]
        results = artifact.results | {"cost": {"slot_seconds": self.now - began, "width": 1}}
        self.run.state.done(dataclasses.replace(artifact, results=results))

    def _train(self, name: str, network: str) -> Iterator[None]:
        one = ONE_STEP[network]
        pace, ticked = Pace(STEPS, 32, INTERVAL, validation_steps=4), self.now
        for step in range(1, STEPS + 1):
            # A busy machine: steps differ, one in 100 is held up, and the first prepares the kernels.
            slow = 3.0 if step == 1 else 1.0 * (self.draws.random() < 0.01)
            yield from self._spend(one * self.draws.uniform(0.7, 1.5) + slow)
            pace.reached(step, self.now)
            if step % INTERVAL == 0:
                yield from self._spend(one * self.validation * self.draws.uniform(0.7, 1.5))
                pace.validated(self.now)
            if self.now - ticked >= TICK:
                ticked = self.now
                timing = pace.timing()
                status: Status = {
                    "step": step,
                    "steps": STEPS,
                    "seconds_left": timing.seconds_left,
                    "whole_seconds": timing.whole_seconds,
                }
                self.run.post({name: status})

    def _spend(self, seconds: float) -> Iterator[None]:
        self.now += seconds
        yield


@pytest.mark.parametrize("validation", [0.5, 4, 40], ids=lambda steps: f"validation of {steps} steps")
@pytest.mark.parametrize("seed", range(3))
def test_the_forecast_never_jumps_by_more_than_half_between_two_refreshes(
    tmp_path: Path, validation: float, seed: int
) -> None:
    run = Run(tmp_path, "methods=[labels, kd, takd]", "seeds=[0, 1, 2]", f"training.steps={STEPS}")
    shown = list(Machine(run, validation, seed).forecasts())
    jumps = [max(after / before, before / after) for (_, before), (_, after) in pairwise(shown) if after > ENOUGH]
    assert len(jumps) > 1000 and max(jumps) < LARGEST_JUMP


def test_the_forecast_is_near_the_time_left_once_every_network_has_run(tmp_path: Path) -> None:
    run = Run(tmp_path, "methods=[labels, kd, takd]", "seeds=[0, 1, 2]", f"training.steps={STEPS}")
    shown = list(Machine(run, validation=40, seed=0).forecasts())
    end = shown[-1][0]
    last = [(end - now, left) for now, left in shown if 0.1 * end < end - now < 0.4 * end]
    assert len(last) > 500 and all(0.8 < left / really < 1.25 for really, left in last)
