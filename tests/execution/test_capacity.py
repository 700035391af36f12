"""More than a cluster can ever give is refused before Ray waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.execution.autoscaler import Autoscaler, growth_of
from orchestrator.execution.capacity import Capacity, Growth, Node, capacity_of, check_cluster, idle_slots
from orchestrator.recipe.schema import RecipeError
from tests.examples import tiny

HERE = [Node({"CPU": 4.0, "GPU": 1.0, "memory": 1e9})]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def started_by_ray_up(home: Path, **config: Any) -> None:
    (home / "ray_bootstrap_config.yaml").write_text(yaml.safe_dump(config))


def growth() -> Growth:
    return growth_of(Autoscaler(), None)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["resources.workers=4"],
        ["resources.workers=2", "resources.cpus=2"],
        ["resources.gpus=0.5", "resources.student_gpus=0.5"],
        ["resources.student_gpus=1"],
    ],
)
def test_requests_within_the_cluster_s_resources_pass(overrides: list[str]) -> None:
    check_cluster(tiny(*overrides), HERE, growth())


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["resources.workers=5"], ["resources.workers=5", "resources.cpus=1", "more than 4 such"]),
        (["resources.cpus=8"], ["resources.workers=1", "resources.cpus=8", "more than 0 such"]),
        (["resources.workers=3", "resources.cpus=2"], ["resources.workers=3", "more than 2 such"]),
        (["resources.gpus=2"], ["resources.workers=1", "resources.gpus=2", "more than 0 such", "1 GPUs"]),
        (["resources.student_gpus=1.5"], ["resources.student_gpus=1.5", "more than 0 such"]),
        (["resources.student_workers=9"], ["resources.student_workers=9", "resources.student_gpus=0"]),
        (
            ["ladder.networks=[plain_cnn_8, plain_cnn_6, plain_cnn_4, {name: plain_cnn_2, workers: 9}]"],
            ["ladder.networks[3].workers=9", "resources.student_gpus=0"],
        ),
        (["resources.student_workers=5"], ["resources.student_workers=5", "resources.cpus=1", "more than 4 such"]),
        (["ladder.networks=[a, {name: b, workers: 9}, c]"], ["ladder.networks[1].workers=9", "more than 4 such"]),
    ],
)
def test_more_than_the_cluster_has_is_refused_with_the_field_and_both_numbers(
    overrides: list[str], named: list[str]
) -> None:
    with pytest.raises(RecipeError) as refused:
        check_cluster(tiny(*overrides), HERE, growth())
    assert all(part in str(refused.value) for part in named), refused.value


def test_a_student_of_several_workers_takes_as_many_slots_of_a_search() -> None:
    warning = idle(32, "search.round_size=4", "resources.student_workers=2")
    assert warning is not None and "room for 16 students" in warning
    assert idle(16, "search.round_size=4", "resources.student_workers=2") is None


def test_a_cluster_without_gpus_has_none_to_give() -> None:
    with pytest.raises(RecipeError, match=r"resources.student_gpus=1: .* more than 0 such workers"):
        check_cluster(tiny("resources.student_gpus=1"), [Node({"CPU": 4.0})], growth())


def kinds_of_node() -> dict[str, Any]:
    return {
        "head_node_type": "head",
        "max_workers": 3,
        "available_node_types": {
            "head": {"resources": {"CPU": 2}},
            "worker": {"resources": {"CPU": 8, "GPU": 1}, "max_workers": 3},
        },
    }


def test_nodes_that_the_autoscaler_may_start_count(home: Path) -> None:
    started_by_ray_up(home, **kinds_of_node())
    check_cluster(tiny("resources.workers=26"), [Node({"CPU": 2.0})], growth())
    check_cluster(tiny("resources.workers=3", "resources.gpus=1"), [Node({"CPU": 2.0})], growth())
    with pytest.raises(RecipeError, match="more than 26 such workers"):
        check_cluster(tiny("resources.workers=27"), [Node({"CPU": 2.0})], growth())


def test_a_kind_of_node_without_a_maximum_has_the_cluster_s(home: Path) -> None:
    config = kinds_of_node()
    del config["available_node_types"]["worker"]["max_workers"]
    started_by_ray_up(home, **config)
    check_cluster(tiny("resources.workers=26"), [Node({"CPU": 2.0})], growth())


def test_nodes_that_are_up_count_even_where_the_file_knows_less(home: Path) -> None:
    started_by_ray_up(home, **kinds_of_node())
    check_cluster(tiny("resources.workers=40", "training.batch_size=40"), [Node({"CPU": 40.0})], growth())


def test_a_kind_of_node_whose_resources_ray_finds_out_sets_no_bound(home: Path) -> None:
    config = kinds_of_node()
    config["available_node_types"]["worker"]["resources"] = {}
    started_by_ray_up(home, **config)
    check_cluster(tiny("resources.workers=1000", "training.batch_size=1000"), [Node({"CPU": 2.0})], growth())


@pytest.mark.parametrize("content", ["", "text", "- a", "a: [", "\x00"])
def test_an_invalid_ray_bootstrap_config_is_ignored(content: str, home: Path) -> None:
    (home / "ray_bootstrap_config.yaml").write_text(content)
    check_cluster(tiny("resources.workers=4"), HERE, growth())
    with pytest.raises(RecipeError):
        check_cluster(tiny("resources.workers=5"), HERE, growth())


def test_a_worker_must_find_all_it_asks_for_on_one_node() -> None:
    with pytest.raises(RecipeError, match="more than 0 such workers"):
        check_cluster(tiny("resources.cpus=8"), [Node({"CPU": 2.0})] * 4, growth())
    check_cluster(tiny("resources.workers=2", "resources.cpus=2"), [Node({"CPU": 3.0})] * 2, growth())


def test_students_have_the_slots_of_the_cluster_at_its_largest_and_at_least_one(home: Path) -> None:
    assert capacity_of(tiny("resources.cpus=2"), HERE, growth()).slots == 2
    assert capacity_of(tiny("resources.student_gpus=0.25"), HERE, growth()).slots == 4
    assert capacity_of(tiny("resources.student_gpus=0.25"), [Node({"CPU": 4.0})], growth()).slots == 1
    started_by_ray_up(home, **kinds_of_node())
    assert capacity_of(tiny("resources.student_gpus=0.5"), [Node({"CPU": 2.0})], growth()).slots == 6


def test_room_is_counted_node_by_node_and_by_what_runs_short_first() -> None:
    capacity = Capacity([Node({"CPU": 5.0, "GPU": 1.0}), Node({"CPU": 3.0})])
    assert [capacity.most_workers(cpus, gpus) for cpus, gpus in ((1, 0), (2, 0), (1, 0.5), (4, 0.5), (1, 2))] == [
        8,
        3,
        2,
        1,
        0,
    ]


SEARCHES = ("methods=[kd, ces_kd]", "search.methods=[kd, ces_kd]", "search.trials=100")


def idle(slots: float, *overrides: str) -> str | None:
    return idle_slots(tiny(*SEARCHES, *overrides), Capacity([Node({"CPU": slots})]))


def test_slots_that_searches_leave_idle_are_named_with_a_round_size_that_uses_them() -> None:
    warning = idle(32, "search.round_size=4")
    assert warning is not None and warning.startswith("search.round_size is 4: at most 8 trials of 2 searches")
    assert "room for 32 students" in warning and "search.round_size=16" in warning


@pytest.mark.parametrize(
    ("slots", "overrides"),
    [
        (8, ["search.round_size=4"]),
        (32, ["search.round_size=16"]),
        (32, ["search.trials=0"]),
        (32, ["search.round_size=4", "resources.student_workers=4"]),
        (32, ["search.round_size=5", "search.trials=5"]),
    ],
)
def test_searches_that_use_all_slots_are_not_warned_of(slots: float, overrides: list[str]) -> None:
    assert idle(slots, *overrides) is None
