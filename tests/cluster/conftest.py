"""One set of hosts for all scenarios, with Ray on them, and the weights of an undisturbed run on one machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.cluster import Cluster, Command
from tests.cluster.hosts import Hosts, reason_to_skip


@pytest.fixture(scope="session")
def started() -> Iterator[tuple[Cluster, Command, Command]]:
    """The cluster after ``ray up``, with that command and the run on one machine that went beside it."""
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    with Hosts() as hosts:
        cluster = Cluster(hosts)
        token = hosts.laptop("ray get-auth-token --generate && chmod 600 ~/.ray/auth_token")
        assert token.returncode == 0, token.stdout
        up = cluster.up()
        alone = cluster.run_on_laptop("one_machine")  # `ray up` mostly waits
        assert up.finish() == 0, up.text[-4000:]
        cluster.wait_for_workers()
        assert alone.finish() == 0, alone.text[-4000:]
        yield cluster, up, alone
        cluster.down()


@pytest.fixture
def cluster(started: tuple[Cluster, Command, Command]) -> Iterator[Cluster]:
    """The cluster with all of its hosts; after the test it is as before."""
    yield started[0]
    started[0].restore()


@pytest.fixture(scope="session")
def expected(started: tuple[Cluster, Command, Command]) -> dict[str, str]:
    """Weights of every network that a run on one machine trains."""
    weights = started[0].results("one_machine").weights()
    assert len(weights) == 5, sorted(weights)
    return weights
