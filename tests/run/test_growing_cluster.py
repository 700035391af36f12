"""A run on a cluster that has no node for it yet: Ray's fake provider starts nodes on this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.run.conftest import Place, apart
from tests.run.test_lost_trial import descendants_of

pytestmark = [pytest.mark.long, pytest.mark.thorough]

NODES = 4
IDLE_SECONDS = 15
LAUNCH = re.compile(r"Launching (\d+) nodes, type cpu")  # of the autoscaler's log
# Prints how many nodes of a cluster are up, the head among them.
COUNT_NODES = """
import sys
from ray._raylet import GcsClient
print(sum(node.state == 0 for node in GcsClient(address=sys.argv[1]).get_all_node_info().values()))
"""


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        return port


def configuration(address: str) -> dict[str, object]:
    """A head without CPUs, and nodes of one CPU that come when they are asked for and go when they are idle."""
    worker = {"CPU": 1, "object_store_memory": 200_000_000}
    return {
        "cluster_name": "fake",
        "max_workers": NODES,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": IDLE_SECONDS / 60,
        "provider": {
            "type": "fake_multinode", "gcs_address": address,
            "use_node_id_as_ip": True, "disable_node_updaters": True, "disable_launch_config_check": True,
        },
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "cpu": {"resources": worker, "node_config": {}, "min_workers": 0, "max_workers": NODES},
        },
        **{name: {} for name in ("auth", "docker", "file_mounts")},
        **{name: [] for name in ("cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands",
           "setup_commands", "head_setup_commands", "worker_setup_commands", "head_start_ray_commands",
           "worker_start_ray_commands")},
        "file_mounts_sync_continuously": False,
    }  # fmt: skip


@dataclass(frozen=True)
class Growing:
    """A cluster with an autoscaler.

    Attributes:
        address: of its head.
        folder: Ray's temporary folder.
        environment: of commands that use it.
    """

    address: str
    folder: Path
    environment: dict[str, str]

    def launches(self) -> list[int]:
        """Returns how many nodes the autoscaler asked for at once, each time."""
        log = self.folder / "ray/session_latest/logs/monitor.log"
        return [int(count) for count in LAUNCH.findall(log.read_text())]

    def nodes(self) -> int:
        """Returns the number of nodes that are up, the head among them."""
        command = [sys.executable, "-c", COUNT_NODES, self.address]
        return int(subprocess.run(command, env=self.environment, capture_output=True, check=True, text=True).stdout)


@pytest.fixture(scope="module")
def from_zero(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Growing]:
    """A cluster of a head alone, with an autoscaler."""
    folder, address = tmp_path_factory.mktemp("fake"), f"127.0.0.1:{free_port()}"
    path = folder / "cluster.json"
    path.write_text(json.dumps(configuration(address)))
    variables = {
        "RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_enable_autoscaler_v2": "0",
    }  # fmt: skip
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--num-cpus=0", "--num-gpus=0",
        f"--port={address.rpartition(':')[2]}", "--node-ip-address=127.0.0.1", "--include-dashboard=false",
        f"--autoscaling-config={path}", "--object-store-memory=200000000", "--disable-usage-stats",
    ]  # fmt: skip
    with apart() as found, (folder / "log").open("w") as log:
        head = subprocess.Popen(command, env=found | variables, stdout=log, stderr=log)
        try:
            until = time.monotonic() + 120
            while "Ray runtime started" not in (folder / "log").read_text() and time.monotonic() < until:
                time.sleep(0.5)
            yield Growing(address, Path(found["RAY_TMPDIR"]), found)
        finally:
            started = descendants_of(head.pid)
            head.terminate()
            for process in started:  # the nodes too, which outlive the head for a while
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            head.wait(60)


def test_a_run_from_zero_nodes_asks_for_those_that_it_can_use_at_once_ends_and_lets_them_go(
    make_place: Callable[[], Place], from_zero: Growing
) -> None:
    place = make_place()
    place.recipe(
        {
            "ladder": {"networks": ["plain_cnn_4", "plain_cnn_2"]},
            "search": {"trials": 4, "round_size": 4, "steps": 4},
            "difficulty": {"scorer": "mean_loss"},  # which needs no folds
            "methods": ["labels", "kd"],
            "seeds": [0, 1],
        }
    )
    finished = place.run(address=from_zero.address)
    assert finished.code == 0, finished.err[-3000:] + finished.out[-3000:]
    assert place.report()["run"]["complete"]
    assert re.search(r"node \S+ joined the cluster \(1 CPU\)", finished.out)
    # Several at once, and as many as the teacher and the students can use together.
    assert max(from_zero.launches()) >= 2 and sum(from_zero.launches()) >= NODES - 1

    until = time.monotonic() + IDLE_SECONDS + 120
    while from_zero.nodes() > 1 and time.monotonic() < until:
        time.sleep(2)
    assert from_zero.nodes() == 1
