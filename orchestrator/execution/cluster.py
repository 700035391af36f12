"""The cluster as it is now: its nodes, what its autoscaler may add, and what changed. Ray must be connected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.execution.autoscaler import ask_autoscaler, config_of_monitor, growth_of
from orchestrator.execution.capacity import Capacity, Growth, Node, capacity_of, check_cluster, idle_slots
from orchestrator.recipe.schema import Recipe

LOOKS_BETWEEN_REPORTS = 4  # the autoscaler is asked at each of so many looks


class ClusterWatch:
    """Reads a cluster again and again, and tells what changed.

    Args:
        recipe: the recipe that runs on it.
        probe: called at each look with the name of every node by its id; returns lines on nodes that can't be used.
        largest: the cluster at its largest, by ``--max-resources``.
    """

    def __init__(
        self, recipe: Recipe, probe: Callable[[Mapping[str, str]], list[str]], largest: Growth | None = None
    ) -> None:
        import ray

        self.recipe, self.probe, self.largest = recipe, probe, largest
        self.address: str = ray.get_runtime_context().gcs_address
        self.monitor_config: Path | None = config_of_monitor(self.address)
        self.nodes: dict[str, Node] = read_nodes()
        self.autoscaler = ask_autoscaler(self.address)
        self.leaving: set[str] = set()  # ids of nodes that were told to leave, such as spot instances
        self.looks = 0
        self.told: set[str] = set()  # failures of the autoscaler, and warnings

    def check(self) -> None:
        """Refuse a recipe that asks for more than the cluster can ever give.

        Raises:
            RecipeError: naming the fields, what they ask for and what there can be.
        """
        check_cluster(self.recipe, list(self.nodes.values()), self._growth())

    def names(self) -> dict[str, str]:
        """Returns the name of every node by its id."""
        return {key: node.name for key, node in self.nodes.items()}

    def look(self) -> tuple[Capacity, list[str]]:
        """Returns the capacity of the cluster, and in words what changed since the last look."""
        before, self.nodes = self.nodes, read_nodes()
        gone = [node for key, node in before.items() if key not in self.nodes]
        new = [node for key, node in self.nodes.items() if key not in before]
        changes = [f"node {node.name} left the cluster ({node})" for node in gone]
        changes += [f"node {node.name} joined the cluster ({node})" for node in new]
        changes += self.probe(self.names())
        told = draining_nodes() & self.nodes.keys() - self.leaving
        self.leaving |= told
        changes += [
            f"node {self.nodes[key].name} is about to leave the cluster: its work goes on elsewhere" for key in told
        ]
        self.looks += 1
        if self.looks % LOOKS_BETWEEN_REPORTS == 0:
            self.autoscaler = ask_autoscaler(self.address)
        staying = [node for key, node in self.nodes.items() if key not in self.leaving]
        capacity = capacity_of(self.recipe, staying, self._growth())
        changes += self._not_told([f"autoscaler: {failure}" for failure in self.autoscaler.failures])
        if self.looks == 1:
            changes += self._not_told([warning for warning in [idle_slots(self.recipe, capacity)] if warning])
        return capacity, changes

    def was_told_to_leave(self, node_id: str) -> bool:
        """Whether a node was told to leave before it was lost: that is no fault of it."""
        self.leaving |= draining_nodes()
        return node_id in self.leaving

    def _growth(self) -> Growth:
        return growth_of(self.autoscaler, self.monitor_config, self.largest)

    def _not_told(self, lines: list[str]) -> list[str]:
        new = [line for line in lines if line not in self.told]
        self.told.update(new)
        return new


def draining_nodes() -> set[str]:
    """Returns the ids of the nodes that were told to leave and have not left yet."""
    from ray._private.state import state

    return set(state.get_draining_nodes())


def read_nodes() -> dict[str, Node]:
    """Returns the nodes that are up, by their ids in Ray."""
    import ray
    from ray._private.state import available_resources_per_node  # a developers' API, the only one that names nodes

    free = available_resources_per_node()
    alive = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
    hosts = Counter(node["NodeManagerHostname"] for node in alive.values())
    return {
        key: Node(
            node["Resources"],
            free.get(key, {}),
            # Several nodes of one host are told apart.
            node["NodeManagerHostname"] + (f"/{key[-5:]}" if hosts[node["NodeManagerHostname"]] > 1 else ""),
        )
        for key, node in alive.items()
    }
