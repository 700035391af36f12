"""One set of hosts for all scenarios, with Ray on them, and the weights of an undisturbed run on one machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.cluster import ALONE, Cluster, brought_up
from tests.cluster.hosts import reason_to_skip


@pytest.fixture(scope="session")
def started() -> Iterator[Cluster]:
    """The cluster after ``ray up`` and a run on one machine."""
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    with brought_up() as cluster:
        yield cluster


@pytest.fixture
def cluster(started: Cluster) -> Iterator[Cluster]:
    """The cluster with all of its hosts; after the test it is as before."""
    yield started
    started.restore()


@pytest.fixture(scope="session")
def expected(started: Cluster) -> dict[str, str]:
    """Weights of every network that a run on one machine trains."""
    weights = started.results(ALONE).weights()
    assert len(weights) == 5, sorted(weights)
    return weights
