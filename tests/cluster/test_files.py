"""cluster.yaml: valid for ``ray up``, and complete for this project. No network access."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from orchestrator.execution.autoscaler import CLUSTER_FILE, Autoscaler, growth_of
from orchestrator.execution.capacity import Node, check_cluster
from orchestrator.recipe import loading as recipes
from orchestrator.recipe.schema import RecipeError

PROJECT = Path(__file__).parents[2]
WRITTEN: dict[str, Any] = yaml.safe_load((PROJECT / "cluster.yaml").read_text())
NODE_TYPES: dict[str, Any] = WRITTEN["available_node_types"]
WORKER_TYPES = sorted(set(NODE_TYPES) - {WRITTEN["head_node_type"]})
HOME = f"/home/{WRITTEN['auth']['ssh_user']}"
TOKEN = f"{HOME}/.ray/auth_token"  # where Ray looks for it


@pytest.fixture
def prepared() -> dict[str, Any]:
    """The file as ``ray up`` completes it with Ray's defaults for AWS, before it asks AWS anything."""
    return prepare_config(copy.deepcopy(WRITTEN))


@pytest.fixture
def on_the_head(prepared: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The completed file where ``ray up`` leaves it on the head node."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / CLUSTER_FILE.name).write_text(yaml.safe_dump(prepared))


def test_ray_accepts_the_file(prepared: dict[str, Any]) -> None:
    validate_config(prepared)


def test_ray_refuses_an_option_it_does_not_know(prepared: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="idle_timeout"):
        validate_config(prepared | {"idle_timeout": 5})


def test_the_token_is_on_every_node_and_asked_for(prepared: dict[str, Any]) -> None:
    assert prepared["file_mounts"][TOKEN] == "~/.ray/auth_token"
    for commands in ("initialization_commands", "setup_commands"):
        assert not any("RAY_AUTH_MODE=disabled" in command for command in prepared[commands])
    assert any("RAY_AUTH_MODE=token" in command for command in prepared["initialization_commands"])


def test_the_token_itself_does_not_stand_in_the_file() -> None:
    assert "RAY_AUTH_TOKEN" not in (PROJECT / "cluster.yaml").read_text()


@pytest.mark.parametrize("role", ["head", "worker"])
def test_this_folder_is_brought_to_every_node_and_installed_there(prepared: dict[str, Any], role: str) -> None:
    places = [place for place, source in prepared["file_mounts"].items() if source == "."]
    assert len(places) == 1
    folder = places[0].replace(HOME, "~")
    (install,) = [
        command for command in prepared[f"{role}_setup_commands"] if "install" in command and " -e " in command
    ]
    assert install.startswith(f"cd {folder} && ")


@pytest.mark.parametrize("folder", [".venv", "runs", "data"])
def test_large_generated_folders_are_not_synchronised(folder: str) -> None:
    assert f"/{folder}" in WRITTEN["rsync_exclude"]


def test_the_installation_takes_the_tested_versions() -> None:
    (install,) = [command for command in WRITTEN["setup_commands"] if "pip install" in command]
    assert "-c constraints.txt" in install
    assert (PROJECT / "constraints.txt").is_file()


@pytest.mark.parametrize("name", NODE_TYPES)
def test_every_node_type_states_its_resources(name: str) -> None:
    assert NODE_TYPES[name]["resources"]["CPU"] > 0
    assert NODE_TYPES[name]["node_config"]["InstanceType"]


@pytest.mark.parametrize("name", WORKER_TYPES)
def test_workers_come_only_when_there_is_work(name: str) -> None:
    assert NODE_TYPES[name]["min_workers"] == 0
    assert NODE_TYPES[name]["max_workers"] > 0
    assert NODE_TYPES[name]["resources"]["GPU"] > 0


def test_the_head_is_one_node_without_a_gpu() -> None:
    head = NODE_TYPES[WRITTEN["head_node_type"]]
    assert head["max_workers"] == 0
    assert "GPU" not in head["resources"]


def test_all_types_may_be_at_their_maximum_together() -> None:
    assert WRITTEN["max_workers"] == sum(NODE_TYPES[name]["max_workers"] for name in WORKER_TYPES)


@pytest.mark.parametrize("name", NODE_TYPES)
def test_every_node_may_reach_the_storage(name: str) -> None:
    assert "IamInstanceProfile" in NODE_TYPES[name]["node_config"]


def test_the_dashboard_is_not_open_to_the_network(prepared: dict[str, Any]) -> None:
    assert not any("--dashboard-host" in command for command in prepared["head_start_ray_commands"])
    assert "security_group" not in prepared["provider"]  # Ray's own opens SSH and the nodes to each other, no more


@pytest.mark.usefixtures("on_the_head")
@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_fits_on_the_grown_cluster(name: str) -> None:
    check_cluster(recipes.load(name), [Node({"CPU": 8.0})], growth_of(Autoscaler(), None))


@pytest.mark.parametrize("name", recipes.names())
def test_one_worker_of_every_recipe_fits_on_one_node(name: str) -> None:
    resources = recipes.load(name).resources
    gpus = max(resources.gpus, resources.student_gpus)
    nodes = [kind["resources"] for kind in NODE_TYPES.values()]
    assert any(node["CPU"] >= resources.cpus and node.get("GPU", 0) >= gpus for node in nodes)


@pytest.mark.usefixtures("on_the_head")
def test_a_recipe_that_asks_for_more_than_the_grown_cluster_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"resources\.workers=100 .* room for more than 12 such"):
        check_cluster(
            recipes.load("cifar10_resnet", ["resources.workers=100"]),
            [Node({"CPU": 8.0})],
            growth_of(Autoscaler(), None),
        )
