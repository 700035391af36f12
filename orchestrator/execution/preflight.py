"""Checks before anything trains that need torch or the cluster's nodes: networks, tracking, warm starts, resources."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from orchestrator.artifacts.store import Store
from orchestrator.datasets.registry import DatasetInfo
from orchestrator.pipeline.graph import Plan
from orchestrator.recipe.schema import Recipe, RecipeError
from orchestrator.tracking.settings import tracking_of

PACKAGES = {"mlflow": "mlflow-skinny>=3", "wandb": "wandb>=0.31"}  # as in the extras of pyproject.toml
CLUSTER_FILE = Path("~/ray_bootstrap_config.yaml")  # ``ray up`` leaves its cluster.yaml here, on the head node


def check_networks(
    recipe: Recipe, data: DatasetInfo, say: Callable[[str], None] = lambda line: None
) -> list[dict[str, int]]:
    """Check the ladder's networks: each exists, returns one logit a class, is smaller than the last, fits its weights.

    Args:
        recipe: the recipe.
        data: metadata of its data set.
        say: called with a line for each conversion of imported weights.

    Returns:
        Parameters and multiply-adds of each network of the ladder.

    Raises:
        RecipeError: naming the network, with the numbers.
    """
    from models import registry
    from orchestrator.pipeline.specs import NetworkSpec
    from orchestrator.training.networks import open_network
    from orchestrator.training.weights.files import check_classes

    channels, height, _ = data.image_shape
    try:
        sizes = registry.check_ladder(
            [network.name for network in recipe.ladder.networks],
            num_classes=data.classes, in_channels=channels, image_size=height,
        )  # fmt: skip
        for network in recipe.ladder.networks:
            if network.weights:
                spec = NetworkSpec(name=network.name, classes=data.classes, channels=channels, image_size=height)
                path = Path(network.weights).expanduser()
                opened = open_network(spec, path)
                check_classes(path, opened.class_names, data.class_names)
                for note in opened.notes:
                    say(f"weights {path}: {note}")
    except ValueError as error:
        raise RecipeError(f"ladder.networks: {str(error).removeprefix('ladder: ')}") from error
    return [{"parameters": size.parameters, "multiply_adds": size.multiply_adds} for size in sizes]


def check_warm_start(planned: Plan, store: Store) -> None:
    """Check that each search of ``search.warm_start`` exists and has the same inputs as one of this run's searches.

    Raises:
        RecipeError: naming the search.
    """
    wanted = [{role: stage.identity for role, stage in search.inputs} for search in planned.searches.values()]
    for identity in planned.recipe.search.warm_start:
        artifact = store.find(identity)
        if artifact is None:
            raise RecipeError(
                f"search.warm_start: {identity} is not in the storage; give the name of a search's folder below "
                "artifacts/ (--dry-run prints it)"
            )
        if artifact.inputs not in wanted:
            raise RecipeError(
                f"search.warm_start: {identity} was made over other data, experts or scores than this recipe's "
                "searches; leave it out"
            )


def check_tracking(recipe: Recipe, store: Store) -> None:
    """Check that the tracking client is installed and that it has a server or database.

    Raises:
        RecipeError: with the command that installs it, or the field to set.
    """
    tracking_of(recipe, store)
    if recipe.tracking != "none" and importlib.util.find_spec(recipe.tracking) is None:
        raise RecipeError(
            f"tracking is {recipe.tracking}, but its Python package is not installed; "
            f"pip install '{PACKAGES[recipe.tracking]}', on every node, or set tracking=none"
        )


def check_cluster(recipe: Recipe, nodes: list[dict[str, float]]) -> None:
    """Check that no request exceeds what the cluster has or may grow to; Ray would wait for it without end.

    Args:
        recipe: the recipe.
        nodes: resources of each live node; nodes that the autoscaler may start are added here.

    Raises:
        RecipeError: naming the fields, the request and the most that can be available.
    """
    resources = recipe.resources
    # Live nodes may be missing from the autoscaler's file: the larger of the two clusters counts.
    clusters = [nodes, _autoscaled()]
    workers = {"resources.workers": resources.workers}
    for position, network in enumerate(recipe.ladder.networks[:-1]):
        if network.workers:
            workers[f"ladder.networks[{position}].workers"] = network.workers
    for field, count in workers.items():
        _compare(f"{field}={count}", count, "resources.gpus", resources.gpus, resources.cpus, clusters)
    _compare("a student", 1, "resources.student_gpus", resources.student_gpus, resources.cpus, clusters)


def student_slots(recipe: Recipe, nodes: list[dict[str, float]]) -> float:
    """Returns the number of single-worker trainings that fit on the cluster at its largest; at least 1."""
    resources = recipe.resources
    rooms = [
        sum(_room(node, resources.cpus, resources.student_gpus) for node in each) for each in (nodes, _autoscaled())
    ]
    return max(1.0, *rooms)


def _compare(
    what: str, count: int, gpu_field: str, gpus: float, cpus: int, clusters: list[list[dict[str, float]]]
) -> None:
    """Raises RecipeError unless ``count`` workers fit at once, each on one node."""
    room, nodes = max(
        ((sum(_room(node, cpus, gpus) for node in nodes), nodes) for nodes in clusters), key=lambda item: item[0]
    )
    if count <= room:
        return
    there = " + ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in nodes or clusters[0])
    raise RecipeError(
        f"{what} with resources.cpus={cpus} and {gpu_field}={gpus:g}: the cluster can never have room for more than "
        f"{room:g} such workers at once (nodes: {there}); ask for less, or run on a larger cluster (--address)"
    )


def _room(node: dict[str, float], cpus: int, gpus: float) -> float:
    """Returns the number of workers of so many CPUs and GPUs that fit on a node."""
    by_cpu = node.get("CPU", 0.0) / cpus
    by_gpu = node.get("GPU", 0.0) / gpus if gpus else math.inf
    room = min(by_cpu, by_gpu)
    return room if math.isinf(room) else math.floor(room + 1e-9)


def _autoscaled() -> list[dict[str, float]]:
    """Returns all nodes that the autoscaler may start, the head included; empty without an autoscaler."""
    try:
        config = yaml.safe_load(CLUSTER_FILE.expanduser().read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []
    if not isinstance(config, dict):
        return []
    nodes: list[dict[str, float]] = []
    kinds: dict[str, Any] = config.get("available_node_types") or {}
    for name, kind in kinds.items():
        if not kind.get("resources"):  # Ray detects them on the node: no bound is known
            return [{"CPU": math.inf, "GPU": math.inf}]
        count = 1 if name == config.get("head_node_type") else kind.get("max_workers", config.get("max_workers", 0))
        nodes += [kind["resources"]] * count
    return nodes
