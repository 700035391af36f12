"""Command ``python -m orchestrator.run``: parses, plans, executes and summarises a recipe.

Imports torch and ray only when there is something to do.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Sequence

from orchestrator import report
from orchestrator.artifacts.addresses import address
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.commands.execution import Executed, States, execute, measure_precision, set_aside, written
from orchestrator.commands.options import add_options
from orchestrator.commands.preparation import check, look_up, request_of
from orchestrator.execution.ray_session import RaySession
from orchestrator.interruption import Interruption
from orchestrator.last_resort import run_command
from orchestrator.pipeline import precision_choice
from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.plan import plan
from orchestrator.recipe import loading as recipes
from orchestrator.recipe.schema import RecipeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (see ``last_resort.run_command``)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "orchestrator.run", *arguments])

    def run(interruption: Interruption) -> int:
        options = _parser().parse_intermixed_args(arguments)
        return _run(options, command, interruption)

    return run_command(
        run,
        interrupted=f"interrupted; finished stages are cached, and the same command continues:\n  {command}",
        verbose="--verbose" in arguments,
    )


def _run(options: argparse.Namespace, command: str, interruption: Interruption) -> int:
    request = request_of(options, command)
    recipe, store, data, display = request.recipe, request.store, request.data, request.display
    choice = precision_choice.stored(store, recipe)
    planned = plan(recipe, data, choice)
    kept, damaged = look_up(planned, store, display)
    missing = {stage.identity for stage in planned.stages} - set(kept)
    if options.dry_run:
        _print_plan(planned, store, kept, damaged, precision_choice.is_open(recipe, choice))
    session = RaySession(options.address, options.verbose, display.say, display.warn, interruption)
    if missing and not options.dry_run:
        session.find()
        if request.largest and session.cluster is None:
            raise RecipeError("--max-resources: Ray is started on this machine alone, which can't grow; leave it out")
    sizes, told = check(request, planned, kept) if missing else (None, set[str]())
    if options.dry_run:
        return 0
    store.check_writable()
    done = Executed(kept)
    if missing:
        assert sizes is not None
        interruption.check()
        with session:
            if precision_choice.is_open(recipe, choice):
                session.open()
                choice = measure_precision(request, planned, interruption)
                planned = plan(recipe, data, choice)
                kept, damaged = look_up(planned, store, display)
            set_aside(request, damaged)

            def publish(artifacts: dict[str, Artifact], states: States | None) -> None:
                report.write(planned, store.impatient(), artifacts, set(kept), sizes, states=states)

            done = execute(request, planned, kept, sizes, told, publish, interruption, session)
    else:
        display.say("nothing left to do: every stage is cached")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(report.summary(planned, done.artifacts, width, store), flush=True)
    return written(
        lambda: report.write(planned, store, done.artifacts, set(kept), sizes, done.timing, done.states),
        request.verbose,
        done.code,
    )


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.run",
        description="Train a ladder of networks, score difficulty, search a pacing function, train final students "
        "with baselines and controls, and write a report. Stages that are cached in the storage are not run again.",
        epilog=f"recipes: {', '.join(recipes.names())}",
        add_help=False,
    )
    add_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
