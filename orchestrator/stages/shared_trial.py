"""A trial of several workers: a trainable of Ray Tune that takes no CPU itself, and runs Ray Train.

Tune decides on each validation whether the trial goes on, as it does where a trial is one process: the workers wait for
its decision. They end by themselves where it stops them. Tune's own way, to kill the trial's process with all that it
started, leaves the room of the workers taken: Ray Train's placement group outlives its controller, and the actor that
is to remove it asks the dashboard, which may be off or not be found.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, TypedDict

import ray
import ray.tune
import torch

from orchestrator.artifacts.store import Store
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job, storage_faults
from orchestrator.stages.observers import RayTrainObserver
from orchestrator.stages.ray_train import fit, place_of_worker
from orchestrator.stages.startup_cost import start_up_seconds
from orchestrator.stages.train import train_here
from orchestrator.stages.trial import Curve, TrialConfig, TuneReport, failure_of, log_folder, result_of, trial_of
from orchestrator.tracking.logbook import Logbook
from orchestrator.training.errors import TrainingDivergedError
from orchestrator.training.observer import ReportedRow
from orchestrator.training.pace import Timing
from orchestrator.training.world import World

# Of its own process: what every node has. A share of a CPU would keep the workers from the whole one.
RESOURCES = {"memory": 1.0}
POLL_SECONDS = 0.5


@ray.remote(num_cpus=0)
class _Relay:
    """Passes validations from the main worker to the trial, and Tune's decisions back."""

    def __init__(self) -> None:
        self.reports: asyncio.Queue[TuneReport] = asyncio.Queue()
        self.decisions: asyncio.Queue[bool] = asyncio.Queue()

    async def validated(self, report: TuneReport) -> bool:
        """Returns whether the trial goes on, once that is decided."""
        await self.reports.put(report)
        return await self.decisions.get()

    async def next_report(self) -> TuneReport:
        return await self.reports.get()

    async def decide(self, goes_on: bool) -> None:
        await self.decisions.put(goes_on)


class SharedTrial(ray.tune.Trainable):
    """One trial, by workers of Ray Train; a step of Tune's is up to the next validation, or to the end."""

    def setup(self, config: TrialConfig, job: Job | None = None) -> None:  # type: ignore[override]
        """Start the workers."""
        assert job is not None
        self.job, self.trial = job, config
        self.error: Exception | None = None  # a fault that was reported
        self.relay: Any = _Relay.remote()  # type: ignore[attr-defined]
        given: WorkerConfig = {"job": trial_of(job, config), "search": job, "trial": config, "relay": self.relay}
        workers = job.placement.trial_workers
        self.training: Future[TuneReport | None] = ThreadPoolExecutor(1).submit(
            fit, _worker, given, given["job"], workers
        )
        self.is_undecided = False  # whether the workers wait for Tune

    def step(self) -> TuneReport:
        """Returns the next validation, or the trial's result or failure."""
        if self.error:
            raise self.error  # as a trial in one process leaves after a fault
        if self.is_undecided:
            ray.get(self.relay.decide.remote(True))
        report = self.relay.next_report.remote()
        while not self.training.done():
            if ray.wait([report], timeout=POLL_SECONDS)[0]:
                self.is_undecided = True
                return dict(ray.get(report))
        self.is_undecided = False
        return self._end()

    def _end(self) -> TuneReport:
        try:
            result = self.training.result()
            assert result is not None, "the workers were stopped without a decision"
        except Exception as error:
            failure = failure_of(self.job, self.trial, error)
            if "fault" in failure:
                self.error = error
                return {**failure, "place": "its workers"}
            return {**failure, "done": True}
        Store(self.job.storage).drop_checkpoint(self.trial["identity"])
        return {**result, "done": True}

    def cleanup(self) -> None:
        """Stop the workers, and wait until they have ended."""
        if not self.training.done():
            ray.get(self.relay.decide.remote(False))
            self.training.exception()
        ray.kill(self.relay)


class WorkerConfig(TypedDict):
    """Arguments of a trial's worker."""

    job: Job
    search: Job
    trial: TrialConfig
    relay: Any


class _Observer(RayTrainObserver):
    """Observer in a worker of a trial.

    Raises:
        SystemExit: in all workers where Tune stops the trial, as in a trial of one process.
    """

    def __init__(
        self, job: Job, logbook: Logbook | None, relay: Any, world: World, device: torch.device, steps: int
    ) -> None:
        super().__init__(job, logbook)
        self.relay, self.world, self.device = relay, world, device
        self.curve = Curve(steps)

    def evaluated(self, row: ReportedRow, state: Callable[[], bytes]) -> bool:
        written = super().evaluated(row, state)
        report = self.curve.report(row)
        if report:
            goes_on = not self.world.main() or ray.get(self.relay.validated.remote(report))
            if self.world.any(not goes_on, self.device):
                raise SystemExit
        return written

    def tick(self, step: int, steps: int, timing: Timing) -> None:
        self.show(step, timing)
        self.job.status.moved()


def _worker(config: WorkerConfig) -> TuneReport | None:
    """One worker of a trial; returns the result, or why the loss diverged; None where Tune stopped it."""
    start_up, began = start_up_seconds(), time.monotonic()
    trial, search = config["job"], config["search"]
    world, device = place_of_worker(trial)
    spec = TrainSpec.from_plain(config["trial"]["training"])
    folder = f"{log_folder(search)}/{config['trial']['folder']}"
    try:
        with storage_faults(trial.storage), Logbook(trial, spec, folder) if world.main() else nullcontext() as logbook:
            observer = _Observer(trial, logbook, config["relay"], world, device, spec.steps)
            trained = train_here(trial, spec, observer, world, device)
    except SystemExit:
        return None
    except StageError as error:
        if isinstance(error.__cause__, TrainingDivergedError):  # in all workers: Ray Train is not to try again
            return {"failure": str(error)}
        raise
    of_controller = trial.status.controller_seconds(trial.name) if world.main() else 0.0
    return result_of(trained, (start_up + time.monotonic() - began) * world.size + of_controller)
