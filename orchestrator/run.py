"""The command line: parse, plan, execute, summarise. Imports torch and ray only when there is something to do."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from orchestrator import recipe as recipes
from orchestrator import recipe_reference, report
from orchestrator.artifacts import RECORD, Artifact, StorageError, Store
from orchestrator.datasets import DatasetError, DatasetInfo, check_present, describe
from orchestrator.graph import Plan, needed
from orchestrator.plan import plan
from orchestrator.progress import Lines
from orchestrator.recipe import Recipe, RecipeError
from orchestrator.schedule import schedule

BAD_INPUT, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; gives the exit code: 0 done, 1 a stage failed, 2 bad input, 130 interrupted."""
    options = _parser().parse_intermixed_args(arguments)
    try:
        return _run(options)
    except (RecipeError, DatasetError, StorageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("\ninterrupted; everything finished so far is kept, the same command goes on from there", file=sys.stderr)
        return INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    lines = Lines(options.quiet)
    source, overrides = _split(options.recipe)
    recipe = recipes.load(source, overrides)
    store = Store(options.storage)
    data = describe(recipe.dataset)
    planned = plan(recipe, data)
    kept, damaged = _look_up(planned, store)
    missing = {stage.identity for stage in planned.stages} - set(kept)
    if options.dry_run:
        _print_plan(planned, store, kept, damaged)
    sizes = _check(recipe, data, planned, store, kept, lines) if missing else None
    if options.dry_run:
        return 0
    store.check_writable()
    for identity, files in damaged.items():
        place = store.set_aside(identity)
        lines.warn(f"{identity}: {', '.join(files)} does not match its checksum; set aside in {place}, made again")
    code, timing = 0, None
    if missing:
        kept, timing, code = _execute(options, recipe, planned, store, kept, missing, lines)
    else:
        lines.say("nothing left to do: every stage's artifact exists")
    folder = report.write(planned, store, kept, reused=set(kept) - missing, sizes=sizes, timing=timing)
    print(report.summary(planned, kept))
    print(f"report: {folder}/report.md")
    return code


def _execute(
    options: argparse.Namespace, recipe: Recipe, planned: Plan, store: Store, kept: dict[str, Artifact],
    missing: set[str], lines: Lines,
) -> tuple[dict[str, Artifact], dict[str, Any], int]:  # fmt: skip
    lines.say(f"{len(missing)} of {len(planned.stages)} stages to do; starting Ray")
    from orchestrator import executor
    from orchestrator.checks import check_cluster, student_slots

    # Ray prints its own warnings on the driver's standard output whatever its log level; ours was opened before.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(sys.stdout if options.verbose else nowhere):
        executor.connect(options.address, options.verbose)
        import ray

        # A polite termination ends like Ctrl-C: nothing is left running. Ray sets a handler of its own, so after it.
        signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
        try:
            has = ray.cluster_resources()
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            check_cluster(recipe, nodes)
            where = f"{has.get('CPU', 0):g} CPUs, {has.get('GPU', 0):g} GPUs on {len(nodes)} node(s)"
            lines.say(f"Ray is up: {where}")
            slots = student_slots(recipe, nodes)
            outcome = executor.execute(needed(planned.stages, missing), kept, store, recipe, lines, slots)
        finally:
            ray.shutdown()
    if outcome.failures:
        print(executor.failures_table(outcome.failures), file=sys.stderr)
    timing = schedule(planned.stages, outcome.made, outcome.seconds, slots)
    # Broken images are bad input as well.
    bad_input = any(failure.error and failure.stage == "ingest" for failure in outcome.failures)
    return kept | outcome.made, timing, BAD_INPUT if bad_input else FAILED if outcome.failures else 0


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
    recipe: Recipe, data: DatasetInfo, planned: Plan, store: Store, kept: dict[str, Artifact], lines: Lines
) -> list[dict[str, int]]:
    """Everything that can be known to be wrong before anything trains; gives the networks' sizes."""
    from orchestrator.checks import check_networks, check_warm_start
    from orchestrator.own_checks import check_own_curriculum

    check_warm_start(planned, store)
    check_own_curriculum(recipe, data)
    if planned.stages[0].identity not in kept:
        check_present(recipe.dataset)
    sizes = check_networks(recipe, data)
    names = [network.name for network in recipe.ladder.networks]
    shown = ", ".join(f"{name} {size['parameters']:,} parameters" for name, size in zip(names, sizes, strict=True))
    lines.say(f"ladder: {shown}")
    if any(final.method != "labels" for final in planned.finals):
        lines.say(f"expert outputs for students: {planned.source} ({planned.source_reason})")
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
