"""Preparation of a command: what its options name, the artifacts that exist, and the checks before anything trains.

Imports torch only in ``check``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from orchestrator.artifacts.store import RECORD, Artifact, Store
from orchestrator.datasets import DatasetInfo, check_present, describe
from orchestrator.datasets.manifests import Manifests
from orchestrator.datasets.names import PHOTO_SETS
from orchestrator.errors import OptionError
from orchestrator.execution.capacity import Growth, largest_cluster
from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.snapshots import lacking
from orchestrator.progress import display_for
from orchestrator.progress.display import Display
from orchestrator.recipe import loading as recipes
from orchestrator.recipe.methods import method_of
from orchestrator.recipe.schema import Recipe


@dataclass(frozen=True)
class Request:
    """The request of a command.

    Attributes:
        recipe: with the overrides of the command line.
        store: the storage.
        data: metadata of the images.
        display: where progress is shown.
        largest: the cluster at its largest, by ``--max-resources``.
        command: the command, as it can be typed again.
        verbose: whether tracebacks are shown.
    """

    recipe: Recipe
    store: Store
    data: DatasetInfo
    display: Display
    largest: Growth | None
    command: str
    verbose: bool


def request_of(options: argparse.Namespace, command: str) -> Request:
    """Returns what the options of ``options.add_options`` ask for.

    Raises:
        UserError: for a recipe, a storage or an option that can't be used.
    """
    display = display_for(quiet=options.quiet, verbose=options.verbose)
    source, overrides = recipes.split(options.recipe)
    recipe = recipes.load(source, overrides)
    largest = largest_cluster(options.max_resources) if options.max_resources is not None else None
    if options.rescan and recipe.dataset.name not in PHOTO_SETS:
        raise OptionError(f"--rescan lists photos again, and {recipe.dataset.name} has none; leave the option out")
    store = Store.of_command(options.storage, display.warn)
    data = describe(recipe.dataset, Manifests(store, rescan=options.rescan, say=display.say, warn=display.warn))
    return Request(recipe, store, data, display, largest, command, options.verbose)


def look_up(planned: Plan, store: Store, display: Display) -> tuple[dict[str, Artifact], dict[str, list[str]]]:
    """Returns the intact artifacts by identity, and the damaged files of the others.

    Trainings that lack a snapshot are in neither: they are run once more.
    """
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
    for identity, steps in lacking(planned.stages, kept).items():
        which = f"snapshot{'s' if len(steps) > 1 else ''} of step {', '.join(map(str, steps))}"
        display.say(f"{kept.pop(identity).name} has no {which}: it is trained once more, and what depends on it stays")
    return kept, damaged


def check(request: Request, planned: Plan, kept: dict[str, Artifact]) -> tuple[list[dict[str, int]], set[str]]:
    """Run all checks that come before training; returns the networks' sizes, and the warnings that were shown."""
    from orchestrator.execution.preflight import (
        check_networks,
        check_tracking,
        check_warm_start,
        check_weights,
        normalisation_of,
    )
    from orchestrator.execution.user_code_checks import check_user_curriculum

    recipe, data, store, display = request.recipe, request.data, request.store, request.display
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
    names = [network.label for network in recipe.ladder.networks]
    shown = ", ".join(f"{name} {size['parameters']:,} parameters" for name, size in zip(names, sizes, strict=True))
    display.say(f"ladder: {shown}")
    if any(method_of(final.method).has_experts for final in planned.finals):
        display.say(f"expert outputs: {planned.source}")
    for method, earlier in planned.coinciding.items():
        display.warn(f"{method} is the same as {earlier} on this ladder: its students are trained once and shown twice")
    return sizes, set(told)
