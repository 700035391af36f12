"""Capacity of a cluster: what its nodes have room for, now and once its autoscaler has done all that it may.

Imports neither torch nor ray.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.pipeline.placement import Placement, room_on
from orchestrator.recipe.schema import Recipe, RecipeError

# An autoscaler that does not tell how far it may go is asked for as much again as there is, and at least for so many
# single-worker trainings.
LEAST_GROWTH = 8


@dataclass(frozen=True)
class Node:
    """A node of the cluster, or one that may be started.

    Attributes:
        resources: by Ray's names, such as CPU and GPU.
        free: those of them that nothing uses now.
        name: its host.
    """

    resources: Mapping[str, float]
    free: Mapping[str, float] = field(default_factory=dict)
    name: str = ""

    def __str__(self) -> str:
        return _amounts(self.resources.get("CPU", 0), self.resources.get("GPU", 0))


@dataclass(frozen=True)
class Growth:
    """The nodes that an autoscaler may start.

    Attributes:
        nodes: all of them, those that are up and the head among them.
        is_known: False where it does not tell how many they may be, or of what size.
    """

    nodes: Sequence[Node] = ()
    is_known: bool = True


NO_GROWTH = Growth()


def largest_cluster(text: str) -> Growth:
    """Returns the cluster at its largest, as ``--max-resources`` tells it: ``CPU=64,GPU=8`` on all nodes together.

    The sizes of its nodes are not known, so it counts as one node: a worker that fits no node is not found out.

    Raises:
        RecipeError: when the text is not of this form.
    """
    amounts: dict[str, float] = {}
    for part in text.split(","):
        name, _, amount = part.strip().partition("=")
        try:
            amounts[name] = float(amount)
        except ValueError:
            amounts[name] = math.nan
    if not amounts.keys() <= {"CPU", "GPU"} or not all(0 <= amount < math.inf for amount in amounts.values()):
        amounts = {}
    if not amounts.get("CPU"):
        raise RecipeError(
            f"--max-resources: '{text}' is not of the form CPU=64 or CPU=64,GPU=8; give the CPUs and GPUs of all nodes "
            "together when the cluster is at its largest"
        )
    return Growth([Node(amounts)])


@dataclass(frozen=True)
class Capacity:
    """The nodes of a cluster.

    Attributes:
        up: the nodes that are up.
        growth: the nodes that the autoscaler may start. Nodes may be up that it does not know of, so the larger of the
            two clusters counts.
        slot: a single-worker training, the unit in which room is counted.
    """

    up: Sequence[Node]
    growth: Growth = NO_GROWTH
    slot: Placement = field(default_factory=Placement)

    def most_workers(self, cpus: float, gpus: float) -> float:
        """Returns how many workers of so many CPUs and GPUs can ever have room at once, each whole on one node."""
        if not self.growth.is_known:
            return math.inf
        return max(sum(room_on(node.resources, cpus, gpus) for node in nodes) for nodes in (self.up, self.growth.nodes))

    def free_workers(self, cpus: float, gpus: float) -> float:
        """Returns how many workers of so many CPUs and GPUs have room now, beside all that runs."""
        return sum(room_on(node.free, cpus, gpus) for node in self.up)

    @property
    def slots(self) -> float:
        """Single-worker trainings that have room at once; at least 1."""
        cpus, gpus = self.slot.cpus, self.slot.gpus
        clusters = (self.up, self.growth.nodes if self.growth.is_known else ())
        return max(1.0, *(sum(room_on(node.resources, cpus, gpus) for node in nodes) for nodes in clusters))

    def rooms(self) -> list[Room]:
        """Returns the room of the nodes that are up, and that of the cluster at its largest."""
        up = [node.resources for node in self.up]
        if self.growth.is_known:
            return [Room(up), Room(node.resources for node in self.growth.nodes)]
        slot = {"CPU": float(self.slot.cpus), "GPU": self.slot.gpus}
        return [Room([*up, *up, *[slot] * LEAST_GROWTH])]


class Room:
    """Room on nodes, from which placements take their share."""

    def __init__(self, nodes: Iterable[Mapping[str, float]]) -> None:
        self.nodes = [{"CPU": node.get("CPU", 0.0), "GPU": node.get("GPU", 0.0)} for node in nodes]

    def take(self, placement: Placement, workers: int | None = None) -> int:
        """Take the room of a placement's workers; returns how many found any. Each is whole on one node."""
        wanted = placement.workers if workers is None else workers
        left = wanted
        # Nodes without GPUs first, then those that are nearly full: what needs more of a node finds it whole.
        for node in sorted(self.nodes, key=lambda node: (node["GPU"], node["CPU"])):
            count = min(left, room_on(node, placement.cpus, placement.gpus))
            if count:
                node["CPU"] -= count * placement.cpus
                node["GPU"] -= count * placement.gpus
                left -= int(count)
            if not left:
                break
        return wanted - left

    def has(self, placement: Placement) -> bool:
        """Whether there is room for all workers that a placement starts with."""
        cpus, gpus = placement.cpus, placement.gpus
        return sum(room_on(node, cpus, gpus) for node in self.nodes) >= placement.least


def capacity_of(recipe: Recipe, up: Sequence[Node], growth: Growth = NO_GROWTH) -> Capacity:
    """Returns the capacity of the cluster of these nodes."""
    resources = recipe.resources
    return Capacity(up, growth, Placement(cpus=resources.cpus, gpus=resources.student_gpus))


def check_cluster(recipe: Recipe, up: Sequence[Node], growth: Growth = NO_GROWTH) -> None:
    """Refuse a recipe that asks for more than the cluster has or may grow to; Ray would wait for it without end.

    Raises:
        RecipeError: naming the fields, what they ask for and what there can be.
    """
    resources, capacity = recipe.resources, capacity_of(recipe, up, growth)
    last = len(recipe.ladder.networks) - 1
    asked = dict(recipe.workers_of(place) for place in range(last)) | {"resources.workers": resources.workers}
    for field_name, workers in asked.items():
        placement = Placement("ray_train", workers.fewest, resources.cpus, resources.gpus)
        _check(f"{field_name}={workers}", "resources.gpus", placement, capacity)
    field_name, workers = recipe.workers_of(last)
    of_students = {field_name: workers.most}
    if recipe.trained_folds:
        of_students["resources.student_workers"] = resources.student_workers
    for field_name, count in of_students.items():
        placement = replace(capacity.slot, workers=count)
        words = "a student" if count == 1 else f"{field_name}={count}"
        _check(words, "resources.student_gpus", placement, capacity)


def idle_slots(recipe: Recipe, capacity: Capacity) -> str | None:
    """Returns a warning if the searches of a recipe leave slots of the cluster idle; None if they use all."""
    search, searches = recipe.search, len(recipe.searched_methods)
    _, workers = recipe.workers_of(len(recipe.ladder.networks) - 1)
    at_once, room = search.round_size * searches, math.floor(capacity.slots / workers.most)
    if not searches or at_once >= room or search.round_size >= search.trials:
        return None
    several = f" of {searches} searches" if searches > 1 else ""
    return (
        f"search.round_size is {search.round_size}: at most {at_once} trials{several} run at once, but the cluster has "
        f"room for {room} students. Give search.round_size={math.ceil(room / searches)} or a multiple of it, for a "
        "search that keeps all slots busy; proposals then learn from fewer, larger rounds"
    )


def request_words(placement: Placement) -> str:
    """Returns what a placement asks for, such as ``2 workers of 1 GPU``."""
    each = _amounts(placement.cpus if placement.cpus > 1 or not placement.gpus else 0, placement.gpus)
    least, most = placement.least, placement.workers
    count = f"{least} to {most}" if least < most else most
    return f"{count} worker{'s' if most > 1 else ''} of {each}"


def _amounts(cpus: float, gpus: float) -> str:
    """Returns amounts in words, such as ``2 CPUs, 1 GPU``; what there is none of is left out, if there is another."""
    counts = [(count, name) for count, name in ((cpus, "CPU"), (gpus, "GPU")) if count]
    return ", ".join(f"{count:g} {name}{'s' if count > 1 else ''}" for count, name in counts) or "0 CPUs"


def _check(asked: str, gpu_field: str, placement: Placement, capacity: Capacity) -> None:
    """Raise RecipeError unless all workers of a placement can find room at once."""
    cpus, gpus = placement.cpus, placement.gpus
    room = capacity.most_workers(cpus, gpus)
    if placement.workers <= room:
        return
    of_growth = sum(room_on(node.resources, cpus, gpus) for node in capacity.growth.nodes)
    of_up = sum(room_on(node.resources, cpus, gpus) for node in capacity.up)
    nodes = capacity.growth.nodes if of_growth > of_up else capacity.up
    there = " + ".join(
        f"{node.resources.get('CPU', 0):g} CPUs, {node.resources.get('GPU', 0):g} GPUs" for node in nodes
    )
    raise RecipeError(
        f"{asked} with resources.cpus={cpus} and {gpu_field}={gpus:g}: the cluster can never have room for more than "
        f"{room:g} such workers at once (nodes: {there}); ask for less, or run on a larger cluster (--address)"
    )
