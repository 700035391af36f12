"""The command line: parse, plan, execute, summarise. Imports torch and ray only when there is something to do."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator import ray_connection, recipe_reference, report
from orchestrator import recipe as recipes
from orchestrator.artifacts import RECORD, Artifact, StorageError, Store
from orchestrator.datasets import DatasetError, DatasetInfo, check_present, describe
from orchestrator.full_disk import says_full_disk
from orchestrator.graph import Plan, needed
from orchestrator.interruption import Interruption
from orchestrator.last_resort import BAD_INPUT, FAILED, run_command
from orchestrator.plan import plan
from orchestrator.progress import view_for
from orchestrator.progress.state import Progress, View
from orchestrator.ray_address import Cluster
from orchestrator.recipe import Recipe, RecipeError
from orchestrator.schedule import schedule
from orchestrator.states import StageState
from orchestrator.tracking import prepare, tracking_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; returns the exit code (see ``last_resort.run_command``)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "orchestrator.run", *arguments])

    def run(interruption: Interruption) -> int:
        options = _parser().parse_intermixed_args(arguments)
        options.command = command
        return _run(options, interruption)

    return run_command(
        run,
        refusals=(RecipeError, DatasetError, StorageError),
        interrupted=f"interrupted; what is finished is kept, and the same command goes on:\n  {command}",
        verbose="--verbose" in arguments,
    )


def _run(options: argparse.Namespace, interruption: Interruption) -> int:
    view = view_for(quiet=options.quiet, verbose=options.verbose)
    source, overrides = _split(options.recipe)
    recipe = recipes.load(source, overrides)
    store = Store(options.storage)
    data = describe(recipe.dataset)
    planned = plan(recipe, data)
    kept, damaged = _look_up(planned, store)
    missing = {stage.identity for stage in planned.stages} - set(kept)
    if options.dry_run:
        _print_plan(planned, store, kept, damaged)
    cluster = ray_connection.find(options.address) if missing and not options.dry_run else None
    sizes = _check(recipe, data, planned, store, kept, view) if missing else None
    if options.dry_run:
        return 0
    store.check_writable()
    for identity, files in damaged.items():
        place = store.set_aside(identity)
        view.warn(f"{identity}: {', '.join(files)} does not match its checksum; set aside in {place}, made again")
    done = _Executed(kept)
    if missing:
        assert sizes is not None
        interruption.check()
        done = _execute(options, cluster, planned, store, kept, sizes, data.train_images, view, interruption)
    else:
        view.say("nothing left to do: every stage's artifact exists")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(report.summary(planned, done.artifacts, width), flush=True)
    try:
        folder = report.write(planned, store, done.artifacts, set(kept), sizes, done.timing, done.states)
    except StorageError as error:
        print(f"error: the report could not be written: {error}", file=sys.stderr)
        return done.code or FAILED
    print(f"report: {folder}/report.html")
    return done.code


@dataclass(frozen=True)
class _Executed:
    """All artifacts that exist after an execution, its schedule, how each stage ended, and the exit code."""

    artifacts: dict[str, Artifact]
    timing: dict[str, Any] | None = None
    states: dict[str, StageState] | None = None
    code: int = 0


def _execute(
    options: argparse.Namespace, cluster: Cluster | None, planned: Plan, store: Store, kept: dict[str, Artifact],
    sizes: list[dict[str, int]], images: int, view: View, interruption: Interruption,
) -> _Executed:  # fmt: skip
    """Make what is missing."""
    recipe, missing = planned.recipe, {stage.identity for stage in planned.stages} - set(kept)
    tracking = tracking_of(recipe, store)
    if tracking:
        view.say(prepare(tracking))
    view.say(f"{len(missing)} of {len(planned.stages)} stages to do; starting Ray")
    from orchestrator.checks import check_cluster, student_slots

    names = [network.name for network in recipe.ladder.networks]
    multiply_adds = {name: size["multiply_adds"] for name, size in zip(names, sizes, strict=True)}
    progress = Progress(planned.stages, kept, view, multiply_adds, images)

    warned: set[str] = set()

    def publish(going_on: bool = True) -> None:
        try:
            states = progress.snapshot() if going_on else None
            report.write(planned, store, kept | progress.made, set(kept), sizes, states=states)
        except Exception as error:  # whatever it is, a run of days should not end for it; the last report says it too
            kind = "" if isinstance(error, StorageError) else f"{type(error).__name__}: "
            said = f"the report could not be made: {kind}{error}"
            if said not in warned:
                warned.add(said)
                view.warn(said)

    # Ray prints its own warnings on the driver's standard output whatever its log level; ours was opened before.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(sys.stdout if options.verbose else nowhere):
        try:
            ray_connection.connect(cluster, interruption, view.warn, options.verbose)
            import ray

            from orchestrator import executor

            has = ray.cluster_resources()
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            check_cluster(recipe, nodes)
            where = f"{has.get('CPU', 0):g} CPUs, {has.get('GPU', 0):g} GPUs on {len(nodes)} node(s)"
            view.say(f"Ray is up: {where}")
            progress.slots = student_slots(recipe, nodes)
            to_do = needed(planned.stages, missing)
            outcome = executor.execute(to_do, kept, store, recipe, progress, publish, interruption)
        except KeyboardInterrupt:
            view.close()
            there = f"{progress.count('done', 'kept')} of {len(planned.stages)} stages are kept in {options.storage}"
            view.warn(f"stopping; {there}; what was being trained goes on from its last checkpoint")
            publish(going_on=False)
            raise
        finally:
            view.close()
            ray_connection.disconnect()
    if outcome.failures:
        print(executor.failures_table(outcome.failures), file=sys.stderr)
        print(f"Next: mend what failed first; the same command then goes on:\n  {options.command}", file=sys.stderr)
    timing = schedule(planned.stages, progress.made, outcome.seconds, progress.slots)
    # Broken images are bad input as well.
    bad_input = any(
        failure.error and failure.stage == "ingest" and not says_full_disk(failure.error)
        for failure in outcome.failures
    )
    code = BAD_INPUT if bad_input else FAILED if outcome.failures else 0
    return _Executed(kept | progress.made, timing, progress.snapshot(), code)


def _look_up(planned: Plan, store: Store) -> tuple[dict[str, Artifact], dict[str, list[str]]]:
    """The artifacts that exist and are whole, and the damaged files of those that are not."""
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
    recipe: Recipe, data: DatasetInfo, planned: Plan, store: Store, kept: dict[str, Artifact], view: View
) -> list[dict[str, int]]:
    """Everything that can be known to be wrong before anything trains; gives the networks' sizes."""
    from orchestrator.checks import check_networks, check_tracking, check_warm_start
    from orchestrator.own_checks import check_own_curriculum

    check_tracking(recipe, store)
    check_warm_start(planned, store)
    check_own_curriculum(recipe, data)
    if planned.stages[0].identity not in kept:
        check_present(recipe.dataset)
    sizes = check_networks(recipe, data)
    names = [network.name for network in recipe.ladder.networks]
    shown = ", ".join(f"{name} {size['parameters']:,} parameters" for name, size in zip(names, sizes, strict=True))
    view.say(f"ladder: {shown}")
    if any(final.method != "labels" for final in planned.finals):
        view.say(f"expert outputs: {planned.source}")
    return sizes


def _print_plan(planned: Plan, store: Store, kept: dict[str, Artifact], damaged: dict[str, list[str]]) -> None:
    width = max(len(stage.name) for stage in planned.stages)
    for stage in planned.stages:
        state = "keep" if stage.identity in kept else "make again (damaged)" if stage.identity in damaged else "make"
        print(f"{stage.name:<{width}}  {state:<5} {store.folder(stage.identity)}")
    print(f"run {planned.run_id}: {len(planned.stages)} stages, {len(planned.stages) - len(kept)} to do")


def _split(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The recipe's name, if one is given, and the overrides."""
    sources = [word for word in words if "=" not in word]
    if len(sources) > 1:
        raise RecipeError(f"two recipes are given: {', '.join(sources)}; give one, and overrides as field=value")
    return (sources[0] if sources else None), [word for word in words if "=" in word]


class _FullHelp(argparse.Action):
    """Prints the options and every field of the recipe."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        parser.print_help()
        print("\nfields of a recipe (dotted names, as in field=value):\n")
        for field in recipe_reference.fields():
            print(f"  {field.name}  ({field.summary})")
            print(textwrap.fill(field.text, 100, initial_indent="      ", subsequent_indent="      "))
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.run",
        description="Train a ladder of networks, score difficulty, search a pacing function, train final students "
        "with baselines and controls, and write a report. What exists already is kept.",
        epilog=f"recipes: {', '.join(recipes.names())}",
        add_help=False,
    )
    parser.add_argument(
        "recipe", nargs="*", metavar="RECIPE | field=value",
        help=f"a recipe's name or path (default {recipes.DEFAULT_RECIPE}), and changes to its fields",
    )  # fmt: skip
    parser.add_argument(
        "--storage", default="runs", metavar="URI", help="folder or URI for all results (default: runs)"
    )
    parser.add_argument("--address", help="Ray cluster to use (default: the one this machine is on, else a local one)")
    parser.add_argument(
        "--dry-run", action="store_true", help="print every stage, whether it exists, and where; then stop"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result and what went wrong")
    parser.add_argument("--verbose", action="store_true", help="show Ray's own logs too")
    parser.add_argument("-h", "--help", action=_FullHelp, nargs=0, help="show this, and every field of a recipe")
    return parser


if __name__ == "__main__":
    sys.exit(main())
