"""Command ``python -m orchestrator.run``: parses, plans, executes and summarises a recipe.

Imports torch and ray only when there is something to do.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import textwrap
import traceback
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from orchestrator import report
from orchestrator.artifacts.addresses import address
from orchestrator.artifacts.leftovers import drop_leftovers
from orchestrator.artifacts.store import RECORD, Artifact, StorageError, Store
from orchestrator.datasets import DatasetInfo, check_present, describe
from orchestrator.datasets.manifests import Manifests
from orchestrator.datasets.names import PHOTO_SETS
from orchestrator.errors import BAD_INPUT, OptionError
from orchestrator.execution.capacity import Growth, largest_cluster
from orchestrator.execution.cluster import ClusterWatch
from orchestrator.execution.ray_session import RaySession
from orchestrator.execution.run_state import RunState
from orchestrator.interruption import Interruption
from orchestrator.last_resort import FAILED, explain, run_command
from orchestrator.pipeline import precision_choice
from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.plan import plan
from orchestrator.pipeline.precision_choice import PrecisionChoice
from orchestrator.pipeline.stage_state import StageState
from orchestrator.progress import display_for
from orchestrator.progress.display import Display
from orchestrator.progress.events import Events
from orchestrator.progress.forecast import forecast_of
from orchestrator.progress.words import snapshot
from orchestrator.recipe import loading as recipes
from orchestrator.recipe import reference
from orchestrator.recipe.methods import method_of
from orchestrator.recipe.schema import Recipe, RecipeError
from orchestrator.report.content.makespan import schedule
from orchestrator.report.content.schema import Makespan
from orchestrator.storage.full_disk import says_full_disk
from orchestrator.tracking.settings import prepare, tracking_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (see ``last_resort.run_command``)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "orchestrator.run", *arguments])

    def run(interruption: Interruption) -> int:
        options = _parser().parse_intermixed_args(arguments)
        options.command = command
        return _run(options, interruption)

    return run_command(
        run,
        interrupted=f"interrupted; finished stages are cached, and the same command continues:\n  {command}",
        verbose="--verbose" in arguments,
    )


def _run(options: argparse.Namespace, interruption: Interruption) -> int:
    display = display_for(quiet=options.quiet, verbose=options.verbose)
    source, overrides = recipes.split(options.recipe)
    recipe = recipes.load(source, overrides)
    largest = largest_cluster(options.max_resources) if options.max_resources is not None else None
    if options.rescan and recipe.dataset.name not in PHOTO_SETS:
        raise OptionError(f"--rescan lists photos again, and {recipe.dataset.name} has none; leave the option out")
    store = Store.of_command(options.storage, display.warn)
    data = describe(recipe.dataset, Manifests(store, rescan=options.rescan, say=display.say, warn=display.warn))
    choice = precision_choice.stored(store, recipe)
    planned = plan(recipe, data, choice)
    kept, damaged = _look_up(planned, store)
    missing = {stage.identity for stage in planned.stages} - set(kept)
    if options.dry_run:
        _print_plan(planned, store, kept, damaged, precision_choice.is_open(recipe, choice))
    session = RaySession(options.address, options.verbose, display.say, display.warn, interruption)
    if missing and not options.dry_run:
        session.find()
        if largest and session.cluster is None:
            raise RecipeError("--max-resources: Ray is started on this machine alone, which can't grow; leave it out")
    sizes, told = _check(recipe, data, planned, store, kept, display) if missing else (None, set[str]())
    if options.dry_run:
        return 0
    store.check_writable()
    done = _Executed(kept)
    if missing:
        assert sizes is not None
        interruption.check()
        with session:
            if precision_choice.is_open(recipe, choice):
                session.open()
                choice = _measure_precision(planned, store, largest, display, interruption)
                planned = plan(recipe, data, choice)
                kept, damaged = _look_up(planned, store)
            for identity, files in damaged.items():
                place = store.set_aside(identity)
                what = f"{identity}: {', '.join(files)} does not match its checksum"
                display.warn(f"{what}; moved to {place}, and the stage runs again")
            done = _execute(
                options, planned, store, kept, largest, sizes, told, data.train_images, display, interruption, session
            )
    else:
        display.say("nothing left to do: every stage is cached")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(report.summary(planned, done.artifacts, width), flush=True)
    try:
        page = report.write(planned, store, done.artifacts, set(kept), sizes, done.timing, done.states)
    except Exception as error:  # whatever it is, the run has ended, its stages are stored, and the results stand above
        if options.verbose:
            traceback.print_exc()
        why = error if isinstance(error, StorageError) else explain(error)
        print(f"error: the report could not be written: {why}", file=sys.stderr)
        return done.code or FAILED
    print(f"report: {page}")
    return done.code


def _measure_precision(
    planned: Plan, store: Store, largest: Growth | None, display: Display, interruption: Interruption
) -> PrecisionChoice:
    """Measure which precision is faster and store the choice. Ray must be connected.

    Raises:
        RecipeError: when the recipe asks for more than the cluster can ever give; the measurement would wait for it.
    """
    from orchestrator.execution import executor

    recipe = planned.recipe
    ClusterWatch(recipe, lambda _: [], largest).check()
    display.say("precision auto: timing steps of the student in fp32 and bf16")
    choice = executor.measure_precision(planned, interruption)
    precision_choice.keep(store, recipe, choice)
    display.say(f"precision: {choice}")
    return choice


@dataclass(frozen=True)
class _Executed:
    """Outcome of an execution: all existing artifacts, the run's timing, each stage's final state, the exit code."""

    artifacts: dict[str, Artifact]
    timing: Makespan | None = None
    states: dict[str, StageState] | None = None
    code: int = 0


def _execute(
    options: argparse.Namespace, planned: Plan, store: Store, kept: dict[str, Artifact], largest: Growth | None,
    sizes: list[dict[str, int]], told: set[str], images: int, display: Display, interruption: Interruption,
    session: RaySession,
) -> _Executed:  # fmt: skip
    """Run the stages that are not cached."""
    recipe, missing = planned.recipe, {stage.identity for stage in planned.stages} - set(kept)
    tracking = tracking_of(recipe, store)
    if tracking:
        display.say(prepare(tracking))
    display.say(f"{len(missing)} of {len(planned.stages)} stages to do; starting Ray")
    run = RunState(planned.stages, kept)
    forecast = forecast_of(planned, sizes, images)
    events = Events(run, display, forecast, lambda artifacts: report.warnings(planned, artifacts), told)
    events.warn()  # about cached experts

    warned: set[str] = set()

    def publish(going_on: bool = True) -> None:
        try:
            states = snapshot(run) if going_on else None
            report.write(planned, store.impatient(), run.artifacts, set(kept), sizes, states=states)
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
            cluster = ClusterWatch(recipe, probe.look, largest)
            for name in probe.check(cluster.names(), interruption):
                display.warn(f"storage: node {name} has not answered a check of it yet")
            cluster.check()
            outcome = executor.execute(run, cluster, store, recipe, events, publish, interruption)
    except KeyboardInterrupt:
        display.close()
        there = f"{run.count('done', 'kept')} of {len(planned.stages)} stages are cached in {options.storage}"
        display.warn(f"stopping; {there}; the next run continues trainings from their last checkpoints")
        publish(going_on=False)
        raise
    finally:
        display.close()
    drop_leftovers(store, run.artifacts)
    if outcome.failures:
        print(executor.failures_table(outcome.failures), file=sys.stderr)
        print(
            f"Next: fix the first failure, then continue with the same command:\n  {options.command}", file=sys.stderr
        )
    timing = schedule(planned.stages, run.made, outcome.seconds, run.most_slots)
    # Broken images are bad input.
    bad_input = any(
        failure.error and failure.stage == "ingest" and not says_full_disk(failure.error)
        for failure in outcome.failures
    )
    code = BAD_INPUT if bad_input else FAILED if outcome.failures else 0
    return _Executed(run.artifacts, timing, snapshot(run), code)


def _look_up(planned: Plan, store: Store) -> tuple[dict[str, Artifact], dict[str, list[str]]]:
    """Returns the intact artifacts by identity, and the damaged files of the others."""
    kept: dict[str, Artifact] = {}
    damaged: dict[str, list[str]] = {}
    for stage in planned.stages:
        artifact = store.find(stage.identity)
        if artifact is None:
            if store.is_committed(stage.identity):
                damaged[stage.identity] = [RECORD]
            continue
        files = store.damaged_files(artifact)
        if files:
            damaged[stage.identity] = files
        else:
            kept[stage.identity] = artifact
    return kept, damaged


def _check(
    recipe: Recipe, data: DatasetInfo, planned: Plan, store: Store, kept: dict[str, Artifact], display: Display
) -> tuple[list[dict[str, int]], set[str]]:
    """Run all checks that come before training; returns the networks' sizes, and the warnings that were shown."""
    from orchestrator.execution.preflight import (
        check_networks,
        check_tracking,
        check_warm_start,
        check_weights,
        normalisation_of,
    )
    from orchestrator.execution.user_code_checks import check_user_curriculum

    for note in data.notes:
        display.warn(f"dataset: {note}")
    check_tracking(recipe, store)
    check_warm_start(planned, store)
    check_user_curriculum(recipe, data)
    if planned.stages[0].identity not in kept:
        check_present(recipe.dataset)
    sizes = check_networks(recipe, data)
    ingested = kept.get(planned.stages[0].identity)
    told = check_weights(recipe, data, normalisation_of(recipe, ingested, store), display.say)
    for text in told:
        display.warn(f"warning: {text}")
    names = [network.name for network in recipe.ladder.networks]
    shown = ", ".join(f"{name} {size['parameters']:,} parameters" for name, size in zip(names, sizes, strict=True))
    display.say(f"ladder: {shown}")
    if any(method_of(final.method).has_experts for final in planned.finals):
        display.say(f"expert outputs: {planned.source}")
    for method, earlier in planned.coinciding.items():
        display.warn(f"{method} is the same as {earlier} on this ladder: its students are trained once and shown twice")
    return sizes, set(told)


def _print_plan(
    planned: Plan, store: Store, kept: dict[str, Artifact], damaged: dict[str, list[str]], undecided: bool
) -> None:
    width = max(len(stage.name) for stage in planned.stages)
    for stage in planned.stages:
        state = "cached" if stage.identity in kept else "run again (damaged)" if stage.identity in damaged else "run"
        print(f"{stage.name:<{width}}  {state:<6} {address(store, 'artifacts', stage.identity)}")
    print(f"run {planned.run_id}: {len(planned.stages)} stages, {len(planned.stages) - len(kept)} to do")
    if undecided:
        print("training.precision is auto and is measured when the run starts; the stages above are those in fp32")


class _FullHelp(argparse.Action):
    """Prints the options and every field of the recipe."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        parser.print_help()
        print("\nfields of a recipe (dotted names, as in field=value):\n")
        for field in reference.fields():
            print(f"  {field.name}  ({field.summary})")
            print(textwrap.fill(field.text, 100, initial_indent="      ", subsequent_indent="      "))
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.run",
        description="Train a ladder of networks, score difficulty, search a pacing function, train final students "
        "with baselines and controls, and write a report. Stages that are cached in the storage are not run again.",
        epilog=f"recipes: {', '.join(recipes.names())}",
        add_help=False,
    )
    parser.add_argument(
        "recipe", nargs="*", metavar="RECIPE | field=value",
        help=f"a recipe's name or path (default {recipes.DEFAULT_RECIPE}), and values for its fields",
    )  # fmt: skip
    parser.add_argument(
        "--storage", default="runs", metavar="URI", help="folder or URI for all results (default: runs)"
    )
    parser.add_argument("--address", help="Ray cluster to use (default: this machine's, else Ray is started here)")
    parser.add_argument(
        "--max-resources", metavar="CPU=N,GPU=N",
        help="CPUs and GPUs of all nodes when the cluster is at its largest, where its autoscaler does not tell",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true", help="print every stage, its folder, and whether it is cached; then stop"
    )
    parser.add_argument(
        "--rescan", action="store_true", help="list the photos of the data set again, and say what has changed"
    )
    parser.add_argument("--quiet", action="store_true", help="print only the result, warnings and errors")
    parser.add_argument("--verbose", action="store_true", help="show Ray's logs and tracebacks too")
    parser.add_argument("-h", "--help", action=_FullHelp, nargs=0, help="show this help and every field of a recipe")
    return parser


if __name__ == "__main__":
    sys.exit(main())
