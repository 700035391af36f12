"""What can be known to be wrong before anything trains, and needs torch or a look at the cluster to know it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from orchestrator.datasets.registry import DatasetInfo
from orchestrator.recipe import Recipe, RecipeError

CLUSTER_FILE = Path("~/ray_bootstrap_config.yaml")  # `ray up` leaves its cluster.yaml here, on the head node


def check_networks(recipe: Recipe, data: DatasetInfo) -> list[dict[str, int]]:
    """Every network exists, gives one logit a class, falls in capacity, and fits the weights that were brought.

    Gives parameters and multiply-adds of each network of the ladder.

    Raises:
        RecipeError: naming the network, with the numbers.
    """
    from models import registry
    from orchestrator.specs import NetworkSpec
    from orchestrator.training.networks import load_network

    channels, height, _ = data.image_shape
    try:
        sizes = registry.check_ladder(
            [network.name for network in recipe.ladder.networks],
            num_classes=data.classes, in_channels=channels, image_size=height,
        )  # fmt: skip
        for network in recipe.ladder.networks:
            if network.weights:
                spec = NetworkSpec(name=network.name, classes=data.classes, channels=channels, image_size=height)
                load_network(spec, Path(network.weights).expanduser())
    except (ValueError, ImportError, SyntaxError) as error:  # the last two: out of the module of a module:callable
        raise RecipeError(f"ladder.networks: {str(error).removeprefix('ladder: ')}") from error
    return [{"parameters": size.parameters, "multiply_adds": size.multiply_adds} for size in sizes]


def check_cluster(recipe: Recipe, has: dict[str, float]) -> None:
    """Nothing asks for more than the cluster has or may grow to; Ray would wait for it without end.

    ``has`` are the resources of the nodes that are up.

    Raises:
        RecipeError: naming the field, what it asks for and what there can be.
    """
    limit = _largest(has)
    resources = recipe.resources
    workers = {"resources.workers": resources.workers}
    for position, network in enumerate(recipe.ladder.networks[:-1]):
        if network.workers:
            workers[f"ladder.networks[{position}].workers"] = network.workers
    for name, count in workers.items():
        _compare(f"{name}={count} with resources.cpus={resources.cpus}", "CPU", count * resources.cpus, limit)
        _compare(f"{name}={count} with resources.gpus={resources.gpus:g}", "GPU", count * resources.gpus, limit)
    _compare(f"resources.student_gpus={resources.student_gpus:g}", "GPU", resources.student_gpus, limit)


def _compare(what: str, resource: str, wanted: float, limit: dict[str, float]) -> None:
    there = limit.get(resource, 0.0)
    if wanted > there + 1e-9:
        raise RecipeError(
            f"{what} asks for {wanted:g} {resource}s at once, but the cluster can never have more than {there:g}; "
            "ask for less, or run on a larger cluster (--address)"
        )


def _largest(has: dict[str, float]) -> dict[str, float]:
    """The most that the cluster can have: what is up, or what its autoscaler may start."""
    try:
        config = yaml.safe_load(CLUSTER_FILE.expanduser().read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return has
    if not isinstance(config, dict):
        return has
    grown: dict[str, float] = {}
    kinds: dict[str, Any] = config.get("available_node_types") or {}
    for name, kind in kinds.items():
        nodes = 1 if name == config.get("head_node_type") else kind.get("max_workers", config.get("max_workers", 0))
        for resource, amount in (kind.get("resources") or {}).items():
            grown[resource] = grown.get(resource, 0.0) + nodes * amount
        if not kind.get("resources"):  # left for Ray to find out on the node: no bound is known
            return {resource: math.inf for resource in ("CPU", "GPU")}
    return {resource: max(grown.get(resource, 0.0), has.get(resource, 0.0)) for resource in {*grown, *has}}
