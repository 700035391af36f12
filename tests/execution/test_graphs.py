"""Stages on real Ray with logical CPUs and GPUs: processes, GPUs, nodes that break, come and go."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.execution import graphs

pytestmark = pytest.mark.long


def test_gpu_stages_never_share_a_process_and_cpu_stages_do(tmp_path: Path) -> None:
    places = graphs.outcome_of(graphs.gpu_and_cpu_stages, tmp_path)
    on_gpus = [place for name, (place,) in places.items() if name.startswith("gpu")]
    on_cpus = [place for name, (place,) in places.items() if name.startswith("cpu")]
    assert len({place["process"] for place in on_gpus}) == len(on_gpus) == 10
    assert {tuple(place["gpus"]) for place in on_gpus} == {("0",), ("1",)}
    assert len({place["process"] for place in on_cpus}) < len(on_cpus) == 10


def test_students_of_a_quarter_of_a_gpu_are_spread_over_both(tmp_path: Path) -> None:
    places = graphs.outcome_of(graphs.fractions, tmp_path)
    assert Counter(place["gpus"][0] for (place,) in places.values()) == {"0": 4, "1": 4}


def test_few_students_or_trials_are_spread_over_the_nodes(tmp_path: Path) -> None:
    nodes = graphs.outcome_of(graphs.few_on_many_nodes, tmp_path)
    assert len(set(nodes["students"])) == len(set(nodes["trials"])) == 3


def test_a_network_of_a_whole_gpu_is_not_starved_by_students(tmp_path: Path) -> None:
    places = graphs.outcome_of(graphs.whole_gpu_among_fractions, tmp_path)
    ta = places["ta"][0]
    before = [name for name, (place,) in places.items() if name.startswith("student") and place["start"] < ta["start"]]
    assert len(before) <= 4  # of twelve: no more than had begun when its teacher ended


def test_a_node_whose_every_call_fails_costs_no_stage(tmp_path: Path) -> None:
    ran = graphs.outcome_of(graphs.broken_node, tmp_path)
    assert ran["failures"] == [] and len(ran["places"]) == 12
    assert any("the disk of this node is broken" in line and "tried again (1 of 3)" in line for line in ran["noted"])


def test_a_node_that_joins_is_used_and_one_that_leaves_is_named(tmp_path: Path) -> None:
    ran = graphs.outcome_of(graphs.nodes_come_and_go, tmp_path)
    assert ran["failures"] == [] and len(ran["places"]) == 7
    joined, left = ran["changes"]
    assert "joined the cluster (2 CPUs)" in joined and "left the cluster (2 CPUs)" in left
    assert len({place["node"] for (place,) in ran["places"].values()}) == 2


def test_a_node_that_is_told_to_leave_takes_no_more_work_and_its_loss_is_no_fault(tmp_path: Path) -> None:
    ran = graphs.outcome_of(graphs.node_is_drained, tmp_path)
    assert ran["failures"] == [] and len(ran["places"]) == 3
    assert "is about to leave the cluster" in ran["changes"][0]
    assert [line.partition(": ")[2] for line in ran["noted"]] == ["its node left the cluster; it goes on elsewhere"]
