"""Capacity of a cluster: how many workers it has room for, now and once its autoscaler has done all that it may.

Imports neither torch nor ray.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.pipeline.placement import Placement
from orchestrator.recipe.schema import Recipe, RecipeError

CLUSTER_FILE = Path("~/ray_bootstrap_config.yaml")  # `ray up` leaves its cluster.yaml here, on the head node

Node = dict[str, float]  # resources by Ray's names, such as CPU and GPU


@dataclass(frozen=True)
class Capacity:
    """The nodes of a cluster.

    Attributes:
        up: the nodes that are up.
        startable: all nodes that the autoscaler may start, the head among them; empty without an autoscaler. Nodes may
            be up that its file does not know of, so the larger of the two clusters counts.
        slot: a single-worker training, the unit in which room is counted.
    """

    up: Sequence[Node]
    startable: Sequence[Node] = ()
    slot: Placement = field(default_factory=Placement)

    def room(self, cpus: float, gpus: float) -> float:
        """Returns how many workers of so many CPUs and GPUs have room at once, each whole on one node."""
        return max(sum(_room(node, cpus, gpus) for node in nodes) for nodes in (self.up, self.startable))

    @property
    def slots(self) -> float:
        """Single-worker trainings that have room at once; at least 1."""
        return max(1.0, self.room(self.slot.cpus, self.slot.gpus))


def capacity_of(recipe: Recipe, up: Sequence[Node]) -> Capacity:
    """Returns the capacity of the cluster whose nodes that are up have these resources."""
    resources = recipe.resources
    return Capacity(up, _startable(), Placement(cpus=resources.cpus, gpus=resources.student_gpus))


def check_cluster(recipe: Recipe, up: Sequence[Node]) -> None:
    """Refuse a recipe that asks for more than the cluster has or may grow to; Ray would wait for it without end.

    Raises:
        RecipeError: naming the fields, what they ask for and what there can be.
    """
    resources, capacity = recipe.resources, capacity_of(recipe, up)
    workers = {"resources.workers": resources.workers}
    for position, network in enumerate(recipe.ladder.networks[:-1]):
        if network.workers:
            workers[f"ladder.networks[{position}].workers"] = network.workers
    for field_name, count in workers.items():
        placement = Placement("ray_train", count, resources.cpus, resources.gpus)
        _check(f"{field_name}={count}", "resources.gpus", placement, capacity)
    _check("a student", "resources.student_gpus", capacity.slot, capacity)


def _check(asked: str, gpu_field: str, placement: Placement, capacity: Capacity) -> None:
    """Raise RecipeError unless all workers of a placement find room at once."""
    cpus, gpus = placement.cpus, placement.gpus
    room = capacity.room(cpus, gpus)
    if placement.workers <= room:
        return
    of_startable = sum(_room(node, cpus, gpus) for node in capacity.startable)
    of_up = sum(_room(node, cpus, gpus) for node in capacity.up)
    nodes = capacity.startable if of_startable > of_up else capacity.up
    there = " + ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in nodes)
    raise RecipeError(
        f"{asked} with resources.cpus={cpus} and {gpu_field}={gpus:g}: the cluster can never have room for more than "
        f"{room:g} such workers at once (nodes: {there}); ask for less, or run on a larger cluster (--address)"
    )


def _room(node: Node, cpus: float, gpus: float) -> float:
    """Returns how many workers of so many CPUs and GPUs a node has room for."""
    by_cpu = node.get("CPU", 0.0) / cpus
    by_gpu = node.get("GPU", 0.0) / gpus if gpus else math.inf
    room = min(by_cpu, by_gpu)
    return room if math.isinf(room) else math.floor(room + 1e-9)


def _startable() -> list[Node]:
    """Returns all the nodes that the autoscaler may start, the head among them; none where there is no autoscaler."""
    try:
        config = yaml.safe_load(CLUSTER_FILE.expanduser().read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []
    if not isinstance(config, dict):
        return []
    nodes: list[Node] = []
    types: dict[str, Any] = config.get("available_node_types") or {}
    for name, node_type in types.items():
        if not node_type.get("resources"):  # left for Ray to find out on the node: no bound is known
            return [{"CPU": math.inf, "GPU": math.inf}]
        is_head = name == config.get("head_node_type")
        count = 1 if is_head else node_type.get("max_workers", config.get("max_workers", 0))
        nodes += [node_type["resources"]] * count
    return nodes
