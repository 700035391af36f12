"""Faults of a machine are results of nothing: the work is done elsewhere, and the run is complete."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.run.conftest import Place, apart

pytestmark = [pytest.mark.long, pytest.mark.thorough]

TWO_NODES = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1, env_vars={"TESTS_BROKEN_NODE": "1"})
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def half_broken() -> Iterator[str]:
    """The address of a cluster of two nodes, on one of which a network of this test can't be trained."""
    command = [sys.executable, "-c", TWO_NODES]
    with (
        apart() as variables,
        subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None and server.stdin is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


def test_a_node_whose_every_call_fails_leaves_no_failed_trial_and_no_failed_stage(
    make_place: Callable[[], Place], half_broken: str
) -> None:
    place = make_place()
    place.recipe(
        {
            "ladder": {"networks": ["plain_cnn_4", "user_networks:broken_on_one_node"]},
            "search": {"trials": 4, "round_size": 4, "steps": 4},
            "difficulty": {"scorer": "mean_loss"},  # which needs no folds
            "methods": ["labels", "kd"],
            "seeds": [0],
        }
    )
    finished = place.run(address=half_broken)
    assert finished.code == 0, finished.err[-3000:]
    searched = place.artifacts()["search/kd"]["results"]["trials"]
    assert len(searched) == 4 and {trial["status"] for trial in searched} == {"finished"}
    assert "tried again (1 of 3)" in finished.out and "Traceback" not in finished.out + finished.err
    assert "CUDA out of memory" in finished.out or "Input/output error" in finished.out
