"""Nodes that an autoscaler may start, and those that it reports it could not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.execution.autoscaler import Autoscaler, _of_v1, config_of_monitor, growth_of
from orchestrator.execution.capacity import Capacity, Node, check_cluster, largest_cluster
from orchestrator.recipe.schema import RecipeError
from tests.examples import tiny

GROWS = Autoscaler(is_there=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def config(**worker: Any) -> dict[str, Any]:
    return {
        "max_workers": 2,
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 0}, "max_workers": 0},
            "cpu": {"max_workers": 2} | worker,
        },
    }


def process(folder: Path, *words: str) -> None:
    """A folder of /proc with a process of this command line."""
    (folder / "77").mkdir(parents=True)
    (folder / "77" / "cmdline").write_bytes(b"\0".join(word.encode() for word in words))


def test_the_configuration_of_a_monitor_that_runs_here_is_found_by_the_cluster_s_address(tmp_path: Path) -> None:
    path = tmp_path / "fake.json"
    path.write_text(yaml.safe_dump(config(resources={"CPU": 1})))
    process(tmp_path / "proc", "python", "monitor.py", f"--autoscaling-config={path}", "--gcs-address=10.0.0.1:6379")
    found = config_of_monitor("10.0.0.1:6379", tmp_path / "proc")
    assert found == path
    assert sorted(node.resources["CPU"] for node in growth_of(Autoscaler(), found).nodes) == [0, 1, 1]
    assert config_of_monitor("10.0.0.2:6379", tmp_path / "proc") is None


def test_a_cluster_from_zero_nodes_with_an_autoscaler_of_known_bounds_is_not_refused(tmp_path: Path) -> None:
    path = tmp_path / "fake.yaml"
    path.write_text(yaml.safe_dump(config(resources={"CPU": 1})))
    growth = growth_of(GROWS, path)
    check_cluster(tiny("resources.workers=2"), [Node({"CPU": 0.0})], growth)
    with pytest.raises(RecipeError, match="more than 2 such workers"):
        check_cluster(tiny("resources.workers=3"), [Node({"CPU": 0.0})], growth)


def test_an_elastic_training_needs_room_for_its_fewest_workers_alone() -> None:
    up = [Node({"CPU": 2.0})]
    check_cluster(tiny("resources.workers=[2, 30]"), up)
    with pytest.raises(RecipeError, match=r"resources.workers=\[3, 30\] .*more than 2 such workers"):
        check_cluster(tiny("resources.workers=[3, 30]"), up)


def test_an_autoscaler_that_does_not_tell_its_bounds_is_refused_nothing() -> None:
    growth = growth_of(GROWS, None)
    assert not growth.is_known
    check_cluster(tiny("resources.workers=32"), [Node({"CPU": 0.0})], growth)


def test_such_bounds_can_be_told_by_an_option(tmp_path: Path) -> None:
    largest = largest_cluster("CPU=16, GPU=4")
    path = tmp_path / "local.yaml"
    path.write_text(yaml.safe_dump(config(resources={})))
    for autoscaler, found in ((GROWS, None), (Autoscaler(), None), (GROWS, path)):
        growth = growth_of(autoscaler, found, largest)
        check_cluster(tiny("resources.workers=16"), [Node({"CPU": 0.0})], growth)
        with pytest.raises(RecipeError, match="more than 16 such workers"):
            check_cluster(tiny("resources.workers=17"), [Node({"CPU": 0.0})], growth)
        assert Capacity([], growth).slots == 16


def test_bounds_in_the_autoscaler_s_file_go_before_those_of_the_option(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(config(resources={"CPU": 1})))
    assert Capacity([], growth_of(GROWS, path, largest_cluster("CPU=64"))).most_workers(1, 0) == 2


@pytest.mark.parametrize(
    "text", ["", "64", "CPU", "CPU=", "CPU=0", "CPU=-1", "CPU=nan", "CPU=inf", "GPU=8", "CPU=4,TPU=1"]
)
def test_an_option_of_another_form_is_refused_in_one_line_with_an_example(text: str) -> None:
    with pytest.raises(RecipeError, match=r"--max-resources: .*CPU=64,GPU=8") as refused:
        largest_cluster(text)
    assert "\n" not in str(refused.value)


def test_such_an_autoscaler_is_asked_for_twice_what_there_is(tmp_path: Path) -> None:
    capacity = Capacity([Node({"CPU": 16.0})], growth_of(GROWS, None))
    (room,) = capacity.rooms()
    assert room.take(capacity.slot, 1000) == 40
    assert capacity.slots == 16


def test_node_types_whose_resources_ray_finds_out_set_no_bound(tmp_path: Path) -> None:
    path = tmp_path / "local.yaml"
    path.write_text(yaml.safe_dump(config(resources={})))
    assert not growth_of(GROWS, path).is_known
    path.write_text(yaml.safe_dump(config(resources={}, max_workers=0)))
    assert growth_of(GROWS, path).is_known


def test_a_type_never_counts_more_nodes_than_the_whole_cluster_may_have(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(config(resources={"CPU": 1}, max_workers=50)))
    assert Capacity([], growth_of(GROWS, path)).most_workers(1, 0) == 2


def test_a_cluster_without_an_autoscaler_has_a_type_of_its_own_for_each_node() -> None:
    assert not _of_v1({"autoscaler_report": {"active_nodes": {"node_c0ffee": 1}}}).is_there
    assert _of_v1({"autoscaler_report": {"active_nodes": {"ray.head.default": 1}}}).is_there
    assert not _of_v1({}).is_there


def test_nodes_that_could_not_be_started_are_told_with_the_reason() -> None:
    refused = {"is_available": False, "unavailable_node_information": {"category": "quota", "description": "no quota"}}
    report = {"active_nodes": {}, "node_availability_summary": {"node_availabilities": {"gpu": refused}}}
    assert _of_v1({"autoscaler_report": report}).failures == ("gpu: no quota",)


def test_amounts_that_are_not_known_are_not_printed() -> None:
    assert not math.isinf(Capacity([Node({"CPU": 1.0})], growth_of(GROWS, None)).slots)
