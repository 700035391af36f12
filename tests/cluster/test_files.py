"""cluster.yaml and deploy/local.yaml: valid for ``ray up``, and complete for this project. No network access."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.tags import TAG_RAY_CLUSTER_NAME

from orchestrator.execution.autoscaler import CLUSTER_FILE, Autoscaler, growth_of
from orchestrator.execution.capacity import Node, check_cluster
from orchestrator.recipe import loading as recipes
from orchestrator.recipe.schema import RecipeError

PROJECT = Path(__file__).parents[2]
WRITTEN: dict[str, Any] = yaml.safe_load((PROJECT / "cluster.yaml").read_text())
NODE_TYPES: dict[str, Any] = WRITTEN["available_node_types"]
WORKER_TYPES = sorted(set(NODE_TYPES) - {WRITTEN["head_node_type"]})
HOME = f"/home/{WRITTEN['auth']['ssh_user']}"
GPU_TYPES = [name for name in WORKER_TYPES if "GPU" in NODE_TYPES[name]["resources"]]
FIELDS, PERIOD_SECONDS = ("timeout_ms", "failure_threshold"), 3.0  # of RAY_health_check_*; Ray's default period
INSTALL = "deploy/install.sh"
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
    (install,) = [command for command in prepared[f"{role}_setup_commands"] if INSTALL in command]
    assert f"bash {folder}/{INSTALL}" in install


@pytest.mark.parametrize("folder", [".venv", "runs", "data"])
def test_large_generated_folders_are_not_synchronised(folder: str) -> None:
    assert f"/{folder}" in WRITTEN["rsync_exclude"]


def test_the_installation_takes_python_and_versions_of_the_constraints() -> None:
    install = (PROJECT / INSTALL).read_text()
    assert "-c constraints.txt" in install and "--python 3.11" in install
    assert "Python 3.11" in (PROJECT / "constraints.txt").read_text().splitlines()[0]


def test_the_gpus_of_every_node_are_tried_by_a_computation() -> None:
    assert (PROJECT / INSTALL).read_text().rstrip().endswith("deploy/check_gpus.py")


@pytest.mark.parametrize("name", NODE_TYPES)
def test_every_node_type_states_its_resources(name: str) -> None:
    assert NODE_TYPES[name]["resources"]["CPU"] > 0
    assert NODE_TYPES[name]["node_config"]["InstanceType"]


@pytest.mark.parametrize("name", WORKER_TYPES)
def test_workers_come_only_when_there_is_work(name: str) -> None:
    assert NODE_TYPES[name]["min_workers"] == 0
    assert NODE_TYPES[name]["max_workers"] > 0


@pytest.mark.parametrize("name", GPU_TYPES)
def test_every_gpu_type_has_room_for_a_worker_of_some_recipe(name: str) -> None:
    has = NODE_TYPES[name]["resources"]
    asked = [recipes.load(recipe).resources for recipe in recipes.names()]
    assert any(0 < each.gpus <= has["GPU"] and each.cpus <= has["CPU"] for each in asked)


@pytest.mark.parametrize("name", [name for name in GPU_TYPES if name.endswith("_spot")])
def test_a_spot_type_goes_before_the_same_instances_on_demand(name: str) -> None:
    spot, on_demand = NODE_TYPES[name], NODE_TYPES[name.removesuffix("_spot")]
    assert spot["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert spot["node_config"]["InstanceType"] == on_demand["node_config"]["InstanceType"]
    assert spot["resources"] == on_demand["resources"]
    assert spot["priority"] > on_demand.get("priority", 0)


def test_a_type_without_gpus_serves_tasks_that_need_none() -> None:
    assert set(WORKER_TYPES) - set(GPU_TYPES) == {"cpu"}


def test_one_type_has_eight_gpus() -> None:
    assert any(NODE_TYPES[name]["resources"]["GPU"] == 8 for name in GPU_TYPES)


def policy(name: str) -> list[dict[str, Any]]:
    """Returns the statements of a policy in deploy/aws."""
    statements: list[dict[str, Any]] = json.loads((PROJECT / "deploy/aws" / name).read_text())["Statement"]
    return statements


def test_workers_have_a_role_of_their_own_that_reaches_one_bucket_and_nothing_else() -> None:
    roles = {name: NODE_TYPES[name]["node_config"]["IamInstanceProfile"]["Name"] for name in NODE_TYPES}
    assert {roles[name] for name in WORKER_TYPES} == {"ces-kd-worker"}
    assert roles["head"] == "ces-kd-head"
    for statement in policy("storage.json"):
        assert all(action.startswith("s3:") and "*" not in action for action in statement["Action"])
        assert statement["Resource"].startswith("arn:aws:s3:::BUCKET")


def test_the_head_may_pass_on_the_workers_role_alone_and_end_nodes_of_its_cluster_alone() -> None:
    by_action = {str(statement["Action"]): statement for statement in policy("autoscaler.json")}
    assert by_action["iam:PassRole"]["Resource"].endswith(":role/ces-kd-worker")
    assert by_action["ec2:TerminateInstances"]["Condition"] == {
        "StringEquals": {f"ec2:ResourceTag/{TAG_RAY_CLUSTER_NAME}": WRITTEN["cluster_name"]}
    }


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
    with pytest.raises(RecipeError, match=r"resources\.workers=100 .* room for more than 32 such"):
        check_cluster(
            recipes.load("cifar10_resnet", ["resources.workers=100"]),
            [Node({"CPU": 8.0})],
            growth_of(Autoscaler(), None),
        )


def test_ray_accepts_the_file_for_machines_that_are_there() -> None:
    local = prepare_config(yaml.safe_load((PROJECT / "deploy/local.yaml").read_text()))
    validate_config(local)
    assert local["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert local["max_workers"] == len(local["provider"]["worker_ips"])


@pytest.mark.parametrize("name", ["cluster.yaml", "deploy/local.yaml"])
def test_ray_s_dashboard_lists_trainings(name: str) -> None:
    commands = yaml.safe_load((PROJECT / name).read_text())["initialization_commands"]
    (exports,) = [command for command in commands if "~/.bashrc" in command]
    shell = (
        f"cd; touch .bashrc; {exports}; {exports}; . ./.bashrc; echo $RAY_TRAIN_ENABLE_STATE_TRACKING $RAY_AUTH_MODE"
    )
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            ["bash", "-c", shell], env={"HOME": home, "PATH": os.environ["PATH"]}, capture_output=True
        )
        assert done.stdout.split() == [b"1", b"token"]
        assert len((Path(home) / ".bashrc").read_text().splitlines()) == 1


@pytest.mark.parametrize("name", ["cluster.yaml", "deploy/local.yaml"])
def test_a_lost_node_is_found_out_in_half_a_minute(name: str) -> None:
    start = " ".join(yaml.safe_load((PROJECT / name).read_text())["head_start_ray_commands"])
    timeout, threshold = (int(re.search(rf"RAY_health_check_{field}=(\d+)", start)[1]) for field in FIELDS)  # type: ignore[index]
    assert (timeout / 1000 + PERIOD_SECONDS) * threshold <= 30
