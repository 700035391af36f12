"""The command line: parse, plan, execute, summarise. Imports torch and ray only when there is something to do."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator import report
from orchestrator.artifacts.addresses import address
from orchestrator.artifacts.full_disk import says_full_disk
from orchestrator.artifacts.store import RECORD, Artifact, StorageError, Store
from orchestrator.datasets import DatasetError, DatasetInfo, check_present, describe
from orchestrator.execution.ray_session import RaySession
from orchestrator.interruption import Interruption
from orchestrator.last_resort import BAD_INPUT, FAILED, run_command
from orchestrator.pipeline import precision_choice
from orchestrator.pipeline.graph import Plan, needed
from orchestrator.pipeline.plan import plan
from orchestrator.pipeline.precision_choice import PrecisionChoice
from orchestrator.pipeline.stage_state import StageState
from orchestrator.progress import view_for
from orchestrator.progress.state import Progress, View
from orchestrator.recipe import loading as recipes
from orchestrator.recipe import reference
from orchestrator.recipe.methods import METHODS
from orchestrator.recipe.schema import Recipe, RecipeError
from orchestrator.report.content.makespan import schedule
from orchestrator.report.content.schema import Makespan
from orchestrator.tracking.settings import prepare, tracking_of


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
    source, overrides = recipes.split(options.recipe)
    recipe = recipes.load(source, overrides)
    store = Store(options.storage)
    data = describe(recipe.dataset)
    choice = precision_choice.stored(store, recipe)
    planned = plan(recipe, data, choice)
    kept, damaged = _look_up(planned, store)
    missing = {stage.identity for stage in planned.stages} - set(kept)
    if options.dry_run:
        _print_plan(planned, store, kept, damaged, precision_choice.is_open(recipe, choice))
    session = RaySession(options.address, options.verbose, view, interruption)
    if missing and not options.dry_run:
        session.find()
    sizes = _check(recipe, data, planned, store, kept, view) if missing else None
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
                choice = _measure_precision(recipe, planned, store, view, interruption)
                planned = plan(recipe, data, choice)
                kept, damaged = _look_up(planned, store)
            for identity, files in damaged.items():
                place = store.set_aside(identity)
                what = f"{identity}: {', '.join(files)} does not match its checksum"
                view.warn(f"{what}; set aside in {place}, made again")
            done = _execute(options, planned, store, kept, sizes, data.train_images, view, interruption, session)
    else:
        view.say("nothing left to do: every stage's artifact exists")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(report.summary(planned, done.artifacts, width), flush=True)
    try:
        page = report.write(planned, store, done.artifacts, set(kept), sizes, done.timing, done.states)
    except StorageError as error:
        print(f"error: the report could not be written: {error}", file=sys.stderr)
        return done.code or FAILED
    print(f"report: {page}")
    return done.code


def _measure_precision(
    recipe: Recipe, planned: Plan, store: Store, view: View, interruption: Interruption
) -> PrecisionChoice:
    """Measure which precision is faster and store the choice; Ray is up."""
    from orchestrator.execution import executor

    view.say("precision auto: timing steps of the student in fp32 and bf16")
    choice = executor.measure_precision(planned, interruption)
    precision_choice.keep(store, recipe, choice)
    view.say(f"precision: {choice}")
    return choice


@dataclass(frozen=True)
class _Executed:
    """All artifacts that exist after an execution, its schedule, how each stage ended, and the exit code."""

    artifacts: dict[str, Artifact]
    timing: Makespan | None = None
    states: dict[str, StageState] | None = None
    code: int = 0


def _execute(
    options: argparse.Namespace, planned: Plan, store: Store, kept: dict[str, Artifact], sizes: list[dict[str, int]],
    images: int, view: View, interruption: Interruption, session: RaySession,
) -> _Executed:  # fmt: skip
    """Make what is missing."""
    recipe, missing = planned.recipe, {stage.identity for stage in planned.stages} - set(kept)
    tracking = tracking_of(recipe, store)
    if tracking:
        view.say(prepare(tracking))
    view.say(f"{len(missing)} of {len(planned.stages)} stages to do; starting Ray")
    from orchestrator.execution.preflight import check_cluster, student_slots

    names = [network.name for network in recipe.ladder.networks]
    multiply_adds = {name: size["multiply_adds"] for name, size in zip(names, sizes, strict=True)}
    progress = Progress(
        planned.stages, kept, view, multiply_adds, images, lambda made: report.warnings(planned, {**kept, **made})
    )
    progress.warn()  # of experts that an earlier run made

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

    try:
        session.open()
        from orchestrator.execution import executor

        check_cluster(recipe, session.nodes)
        progress.slots = student_slots(recipe, session.nodes)
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
    from orchestrator.execution.preflight import check_networks, check_tracking, check_warm_start
    from orchestrator.execution.user_code_checks import check_own_curriculum

    for note in data.notes:
        view.warn(f"dataset: {note}")
    check_tracking(recipe, store)
    check_warm_start(planned, store)
    check_own_curriculum(recipe, data)
    if planned.stages[0].identity not in kept:
        check_present(recipe.dataset)
    sizes = check_networks(recipe, data, view.say)
    names = [network.name for network in recipe.ladder.networks]
    shown = ", ".join(f"{name} {size['parameters']:,} parameters" for name, size in zip(names, sizes, strict=True))
    view.say(f"ladder: {shown}")
    if any(METHODS[final.method].searched_as for final in planned.finals):
        view.say(f"expert outputs: {planned.source}")
    for method, earlier in planned.coinciding.items():
        view.warn(f"{method} is the same as {earlier} on this ladder: its students are trained once and shown twice")
    return sizes


def _print_plan(
    planned: Plan, store: Store, kept: dict[str, Artifact], damaged: dict[str, list[str]], undecided: bool
) -> None:
    width = max(len(stage.name) for stage in planned.stages)
    for stage in planned.stages:
        state = "keep" if stage.identity in kept else "make again (damaged)" if stage.identity in damaged else "make"
        print(f"{stage.name:<{width}}  {state:<5} {address(store, 'artifacts', stage.identity)}")
    print(f"run {planned.run_id}: {len(planned.stages)} stages, {len(planned.stages) - len(kept)} to do")
    if undecided:
        print("training.precision is auto and is measured when the run starts; these are the stages in fp32")


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
