"""Execution of a plan on Ray by a command, with its display, its report and what is said of failures."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from orchestrator import report
from orchestrator.artifacts.leftovers import drop_leftovers
from orchestrator.artifacts.store import Artifact, StorageError
from orchestrator.commands.preparation import Request
from orchestrator.errors import BAD_INPUT
from orchestrator.execution.cluster import ClusterWatch
from orchestrator.execution.ray_session import RaySession
from orchestrator.execution.run_state import RunState
from orchestrator.interruption import Interruption
from orchestrator.last_resort import FAILED, explain
from orchestrator.pipeline import precision_choice
from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.precision_choice import PrecisionChoice
from orchestrator.pipeline.stage_state import StageState
from orchestrator.progress.events import Events
from orchestrator.progress.forecast import forecast_of
from orchestrator.progress.words import snapshot
from orchestrator.report.content.makespan import schedule
from orchestrator.report.content.schema import Makespan
from orchestrator.storage.full_disk import says_full_disk
from orchestrator.tracking.settings import prepare, tracking_of

States = dict[str, StageState]
Publish = Callable[[dict[str, Artifact], States | None], None]
"""Writes the report of a run that goes on, from the artifacts so far and the states of its stages, None at its end."""


def measure_precision(request: Request, planned: Plan, interruption: Interruption) -> PrecisionChoice:
    """Measure which precision is faster and store the choice. Ray must be connected.

    Raises:
        RecipeError: when the recipe asks for more than the cluster can ever give; the measurement would wait for it.
    """
    from orchestrator.execution import executor

    recipe, display = planned.recipe, request.display
    ClusterWatch(recipe, lambda _: [], request.largest).check()
    display.say("precision auto: timing steps of the student in fp32 and bf16")
    choice = executor.measure_precision(planned, interruption)
    precision_choice.keep(request.store, recipe, choice)
    display.say(f"precision: {choice}")
    return choice


@dataclass(frozen=True)
class Executed:
    """Outcome of an execution: all existing artifacts, the run's timing, each stage's final state, the exit code."""

    artifacts: dict[str, Artifact]
    timing: Makespan | None = None
    states: dict[str, StageState] | None = None
    code: int = 0


def set_aside(request: Request, damaged: Mapping[str, list[str]]) -> None:
    """Move damaged artifacts out of the way, given their damaged files, so that their stages run again."""
    for identity, files in damaged.items():
        place = request.store.set_aside(identity)
        what = f"{identity}: {', '.join(files)} does not match its checksum"
        request.display.warn(f"{what}; moved to {place}, and the stage runs again")


def execute(
    request: Request, planned: Plan, kept: dict[str, Artifact], sizes: list[dict[str, int]], told: set[str],
    publish: Publish, interruption: Interruption, session: RaySession,
) -> Executed:  # fmt: skip
    """Run the stages of a plan that are not cached.

    Args:
        request: what the command is asked for.
        planned: the plan.
        kept: the intact artifacts that exist, by identity.
        sizes: parameters and multiply-adds of each network of the ladder.
        told: warnings that were shown before.
        publish: called now and then; where it fails the run goes on, and says so once.
        interruption: checked while it waits.
        session: the connection to Ray, which is opened where it is not open yet.
    """
    recipe, store, display = planned.recipe, request.store, request.display
    missing = {stage.identity for stage in planned.stages} - set(kept)
    tracking = tracking_of(recipe, store)
    if tracking:
        display.say(prepare(tracking))
    display.say(f"{len(missing)} of {len(planned.stages)} stages to do; starting Ray")
    run = RunState(planned.stages, kept)
    forecast = forecast_of(planned, sizes, request.data.train_images)
    events = Events(run, display, forecast, lambda artifacts: report.warnings(planned, artifacts), told)
    events.warn()  # about cached experts

    warned: set[str] = set()

    def publish_or_warn(going_on: bool = True) -> None:
        try:
            publish(run.artifacts, snapshot(run) if going_on else None)
        except Exception as error:  # a run of days must not fail for it; the final report raises it again
            kind = "" if isinstance(error, StorageError) else f"{type(error).__name__}: "
            message = f"the report could not be written: {kind}{error}"
            if message not in warned:
                warned.add(message)
                display.warn(message)

    try:
        session.open()
        from orchestrator.execution import executor
        from orchestrator.execution.storage_probe import StorageProbe

        with closing(StorageProbe(store)) as probe:
            cluster = ClusterWatch(recipe, probe.look, request.largest)
            for name in probe.check(cluster.names(), interruption):
                display.warn(f"storage: node {name} has not answered a check of it yet")
            cluster.check()
            outcome = executor.execute(run, cluster, store, recipe, events, publish_or_warn, interruption)
    except KeyboardInterrupt:
        display.close()
        there = f"{run.count('done', 'kept')} of {len(planned.stages)} stages are cached in {store.shown}"
        display.warn(f"stopping; {there}; the next run continues trainings from their last checkpoints")
        publish_or_warn(going_on=False)
        raise
    finally:
        display.close()
    drop_leftovers(store, run.artifacts)
    if outcome.failures:
        print(executor.failures_table(outcome.failures), file=sys.stderr)
        print(
            f"Next: fix the first failure, then continue with the same command:\n  {request.command}", file=sys.stderr
        )
    timing = schedule(planned.stages, run.made, outcome.seconds, run.most_slots)
    # Broken images are bad input.
    bad_input = any(
        failure.error and failure.stage == "ingest" and not says_full_disk(failure.error)
        for failure in outcome.failures
    )
    code = BAD_INPUT if bad_input else FAILED if outcome.failures else 0
    return Executed(run.artifacts, timing, snapshot(run), code)


def written(write: Callable[[], str], verbose: bool, code: int) -> int:
    """Write the final report and print its address; returns the command's exit code.

    Args:
        write: writes it and returns the address.
        verbose: whether the traceback of an error is shown.
        code: the exit code of what was done before.
    """
    try:
        page = write()
    except Exception as error:  # whatever it is, the stages are stored, and the results are printed
        if verbose:
            traceback.print_exc()
        why = error if isinstance(error, StorageError) else explain(error)
        print(f"error: the report could not be written: {why}", file=sys.stderr)
        return code or FAILED
    print(f"report: {page}")
    return code
