"""Probe of the storage on real Ray nodes. Storages that differ between hosts: tests/cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.run.conftest import apart

TWO_NODES = """
import json, sys, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from orchestrator.artifacts.store import Store
from orchestrator.execution.storage_probe import StorageProbe
from orchestrator.interruption import Interruption

def nodes():
    return {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}

folder = Path(sys.argv[1])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
ray.init(address=cluster.address, log_to_driver=False)
probe = StorageProbe(Store(str(folder)))
result = {"one": probe.check(nodes(), Interruption()), "written by one": folder.exists()}
cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
result["joined"] = probe.look(nodes())
seen = len(list(folder.glob(".probe-*/*")))
for _ in range(100):
    if not list(folder.glob(".probe-*")):
        break
    result["joined"] += probe.look(nodes())
    time.sleep(0.2)
result |= {"probed": seen, "left": [path.name for path in folder.glob(".*")]}
result["two"] = StorageProbe(Store(str(folder))).check(nodes(), Interruption())
result["left"] += [path.name for path in folder.glob(".*")]
ray.shutdown()
cluster.shutdown()
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Results of probes on one node, on one that joined, and on both."""
    folder = tmp_path_factory.mktemp("probe") / "runs"
    with apart() as variables:
        done = subprocess.run(
            [sys.executable, "-c", TWO_NODES, str(folder)], env=variables, capture_output=True, text=True, timeout=240
        )
    assert done.returncode == 0, done.stderr[-3000:]
    read: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return read


@pytest.mark.long
def test_a_single_node_is_not_probed(result: dict[str, Any]) -> None:
    assert result["one"] == [] and not result["written by one"]


@pytest.mark.long
def test_a_node_that_joins_is_probed_without_waiting_for_it(result: dict[str, Any]) -> None:
    assert result["probed"] >= 1 and result["joined"] == []


@pytest.mark.long
def test_nodes_that_see_the_storage_pass_and_nothing_is_left_in_it(result: dict[str, Any]) -> None:
    assert result["two"] == [] and result["left"] == []
