"""The autoscaler of a cluster: whether there is one, the nodes that it may start, and what it could not do.

Its configuration is read where it can be found: the file that `ray up` leaves on the head node, or the one that Ray's
monitor on this machine was started with. Elsewhere (KubeRay, a driver on another node) only the nodes' types are known
by their names, so the growth is not known unless ``--max-resources`` tells it. Ray must be connected.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestrator.execution.capacity import NO_GROWTH, Growth, Node

CLUSTER_FILE = Path("~/ray_bootstrap_config.yaml")  # `ray up` leaves its cluster.yaml here, on the head node
CONFIG_FLAG = b"--autoscaling-config="  # of the monitor's command line
READ_ONLY = "node_"  # prefix of the type that Ray makes up for each node of a cluster that can't grow
UNKNOWN = Growth(is_known=False)
LONGEST_REASON = 200  # characters


@dataclass(frozen=True)
class Autoscaler:
    """An autoscaler's report.

    Attributes:
        is_there: whether the cluster has one.
        failures: what it could not do, in words.
    """

    is_there: bool = False
    failures: tuple[str, ...] = ()


def growth_of(autoscaler: Autoscaler, monitor_config: Path | None, largest: Growth | None = None) -> Growth:
    """Returns the nodes that the autoscaler may start.

    Args:
        autoscaler: its report.
        monitor_config: the configuration that the monitor on this machine was started with.
        largest: the cluster at its largest by ``--max-resources``, for one whose configuration can't be read or sets no
            bound.
    """
    for path in (monitor_config, CLUSTER_FILE.expanduser()):
        config = _read(path)
        if config is not None:
            growth = _growth(config)
            return growth if growth.is_known else largest or UNKNOWN
    return largest or (UNKNOWN if autoscaler.is_there else NO_GROWTH)


def config_of_monitor(address: str, processes: Path = Path("/proc")) -> Path | None:
    """Returns the configuration that the monitor of the cluster at an address was started with, if it runs here."""
    for path in processes.glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"--gcs-address=" + address.encode() not in words:
                continue
            for word in words:
                if word.startswith(CONFIG_FLAG):
                    return Path(word.removeprefix(CONFIG_FLAG).decode()).expanduser()
    return None


def ask_autoscaler(address: str) -> Autoscaler:
    """Returns the report of the autoscaler of the cluster at an address, as it is now."""
    from ray.autoscaler.v2.sdk import get_cluster_status
    from ray.experimental.internal_kv import _internal_kv_get

    with suppress(Exception):  # it is asked again in a few seconds; a run does not depend on it
        report = _internal_kv_get("__autoscaling_status")  # of v1
        if report:
            return _of_v1(json.loads(report))
        return _of_v2(get_cluster_status(address, timeout=5))
    return Autoscaler()


def _of_v1(status: Mapping[str, Any]) -> Autoscaler:
    report = status.get("autoscaler_report") or {}
    types = [*report.get("active_nodes", {}), *report.get("pending_launches", {})]
    found = report.get("node_availability_summary", {}).get("node_availabilities", {})
    failures = (
        f"{name}: {_short((item.get('unavailable_node_information') or {}).get('description') or 'not to be had')}"
        for name, item in found.items()
        if not item.get("is_available", True)
    )
    return Autoscaler(any(not name.startswith(READ_ONLY) for name in types), tuple(failures))


def _of_v2(status: Any) -> Autoscaler:
    nodes = [*status.active_nodes, *status.idle_nodes, *status.pending_nodes]
    types = {node.ray_node_type_name for node in nodes} | {item.ray_node_type_name for item in status.pending_launches}
    failures = (
        f"{item.ray_node_type_name}: {_short(item.details or 'could not be started')}"
        for item in status.failed_launches
    )
    return Autoscaler(any(name and not name.startswith(READ_ONLY) for name in types), tuple(failures))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON].rstrip()} ..."


def _read(path: Path | None) -> Mapping[str, Any] | None:
    """Returns an autoscaler's configuration; None where there is no such file, or not one of a cluster that grows."""
    if path is None:
        return None
    try:
        config = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return config if isinstance(config, dict) and config.get("available_node_types") else None


def _growth(config: Mapping[str, Any]) -> Growth:
    nodes = list(_nodes(config))
    return UNKNOWN if any(math.isinf(node.resources.get("CPU", 0.0)) for node in nodes) else Growth(nodes)


def _nodes(config: Mapping[str, Any]) -> Iterator[Node]:
    workers = config.get("max_workers", 0)  # of all types together
    for name, node_type in config["available_node_types"].items():
        is_head = name == config.get("head_node_type")
        count = min(node_type.get("max_workers", 0 if is_head else workers), workers)
        resources = node_type.get("resources")
        if resources:
            for _ in range(count + is_head):
                yield Node(resources)
        elif count:  # Ray finds them out on the node: no bound is known
            yield Node({"CPU": math.inf})
