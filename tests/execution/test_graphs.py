"""Stages on real Ray with logical CPUs and GPUs: processes, GPUs, nodes that break, come and go."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.execution import graphs

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def two_gpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, graphs.Place]:
    places = graphs.outcome_of(graphs.two_gpus, tmp_path_factory.mktemp("two-gpus"))
    return {name: place for name, (place,) in places.items()}


def of(places: dict[str, graphs.Place], kind: str) -> list[graphs.Place]:
    return [place for name, place in places.items() if name.startswith(kind)]


def test_gpu_stages_never_share_a_process_and_cpu_stages_do(two_gpus: dict[str, graphs.Place]) -> None:
    on_gpus, on_cpus = of(two_gpus, "whole") + of(two_gpus, "half"), of(two_gpus, "cpu")
    assert len({place["process"] for place in on_gpus}) == len(on_gpus) == 8
    assert {tuple(place["gpus"]) for place in on_gpus} == {("0",), ("1",)}
    assert len({place["process"] for place in on_cpus}) < len(on_cpus) == 6


def test_students_of_half_a_gpu_are_spread_over_both(two_gpus: dict[str, graphs.Place]) -> None:
    assert Counter(place["gpus"][0] for place in of(two_gpus, "half")) == {"0": 2, "1": 2}


@pytest.mark.thorough
def test_few_students_or_trials_are_spread_over_the_nodes(tmp_path: Path) -> None:
    nodes = graphs.outcome_of(graphs.few_on_many_nodes, tmp_path)
    assert len(set(nodes["students"])) == len(set(nodes["trials"])) == 2


def test_a_network_of_a_whole_gpu_is_not_starved_by_students(tmp_path: Path) -> None:
    places = graphs.outcome_of(graphs.whole_gpu_among_fractions, tmp_path)
    ta = places["ta"][0]
    before = [name for name, (place,) in places.items() if name.startswith("student") and place["start"] < ta["start"]]
    assert len(before) <= 4  # of eight: no more than had begun when its teacher ended


@pytest.mark.thorough
def test_a_node_whose_every_call_fails_costs_no_stage(tmp_path: Path) -> None:
    ran = graphs.outcome_of(graphs.broken_node, tmp_path)
    assert ran["failures"] == [] and len(ran["places"]) == 8
    assert any("the disk of this node is broken" in line and "tried again (1 of 3)" in line for line in ran["noted"])


@pytest.mark.thorough
def test_a_node_that_joins_is_used_and_one_that_leaves_is_named(tmp_path: Path) -> None:
    ran = graphs.outcome_of(graphs.nodes_come_and_go, tmp_path)
    assert ran["failures"] == [] and len(ran["places"]) == 5
    joined, left = ran["changes"]
    assert "joined the cluster (2 CPUs)" in joined and "left the cluster (2 CPUs)" in left
    assert len({place["node"] for (place,) in ran["places"].values()}) == 2


@pytest.mark.thorough
def test_a_node_that_is_told_to_leave_takes_no_more_work_and_its_loss_is_no_fault(tmp_path: Path) -> None:
    ran = graphs.outcome_of(graphs.node_is_drained, tmp_path)
    assert ran["failures"] == [] and len(ran["places"]) == 3
    assert "is about to leave the cluster" in ran["changes"][0]
    assert [line.partition(": ")[2] for line in ran["noted"]] == ["its node left the cluster; it goes on elsewhere"]
