"""deploy/rayjob.yaml and deploy/Containerfile: fields that KubeRay knows, and complete for this project.

Kubernetes' own schema is not to be had offline. The models below are those parts of KubeRay's types (its files
``rayjob_types.go`` and ``raycluster_types.go``) and of a pod's that the file uses; other fields are refused.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from orchestrator.recipe import loading as recipes

DEPLOY = Path(__file__).parents[2] / "deploy"
JOB = "rayjob.yaml"
Count = Annotated[int, Field(ge=0, strict=True)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Quantity = Annotated[str, StringConstraints(pattern=r"^\d+(m|Ki|Mi|Gi|Ti)?$")]
Resources = dict[str, Quantity | Count]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Variable(Part):
    name: str
    value: str


class Mount(Part):
    name: Name
    mount_path: str


class Requests(Part):
    requests: Resources = {}
    limits: Resources


class Container(Part):
    name: Name
    image: str
    command: list[str] = []
    env: list[Variable] = []
    resources: Requests
    volume_mounts: list[Mount] = []


class EmptyFolder(Part):
    medium: Literal["Memory"]
    size_limit: Quantity


class Volume(Part):
    name: Name
    empty_dir: EmptyFolder


class Toleration(Part):
    key: str
    operator: Literal["Exists", "Equal"]
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class Pod(Part):
    restart_policy: Literal["Never", "Always", "OnFailure"]
    service_account_name: Name
    containers: list[Container]
    init_containers: list[Container] = []
    volumes: list[Volume]
    tolerations: list[Toleration] = []


class Template(Part):
    spec: Pod


class HeadGroup(Part):
    ray_start_params: dict[str, str]
    template: Template


class WorkerGroup(Part):
    group_name: Name
    replicas: Count
    min_replicas: Count
    max_replicas: Count
    ray_start_params: dict[str, str]
    template: Template


class AutoscalerOptions(Part):
    idle_timeout_seconds: Count


class AuthOptions(Part):
    mode: Literal["token", "disabled"]


class RayCluster(Part):
    ray_version: str
    auth_options: AuthOptions
    enable_in_tree_autoscaling: bool
    autoscaler_options: AutoscalerOptions
    head_group_spec: HeadGroup
    worker_group_specs: list[WorkerGroup]


class SubmitterConfig(Part):
    backoff_limit: Count


class JobSpec(Part):
    entrypoint: str
    submission_mode: Literal["K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode"]
    backoff_limit: Count
    submitter_config: SubmitterConfig
    shutdown_after_job_finishes: bool
    ttl_seconds_after_finished: Count
    ray_cluster_spec: RayCluster


class Metadata(Part):
    name: Name


class RayJob(Part):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: JobSpec


@pytest.fixture
def written() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / JOB).read_text())
    return loaded


@pytest.fixture
def job(written: dict[str, Any]) -> RayJob:
    return RayJob.model_validate(written)


def groups(job: RayJob) -> list[Pod]:
    cluster = job.spec.ray_cluster_spec
    return [cluster.head_group_spec.template.spec, *(group.template.spec for group in cluster.worker_group_specs)]


def test_the_job_has_fields_that_kuberay_knows(job: RayJob) -> None:
    assert job.spec.ray_cluster_spec.worker_group_specs


def test_a_field_that_kuberay_does_not_know_is_refused(written: dict[str, Any]) -> None:
    written["spec"]["backOffLimit"] = 3
    with pytest.raises(ValidationError, match="backOffLimit"):
        RayJob.model_validate(written)


def test_ray_has_the_tested_version_and_requires_a_token(job: RayJob) -> None:
    assert job.spec.ray_cluster_spec.ray_version == version("ray")
    assert job.spec.ray_cluster_spec.auth_options.mode == "token"


def test_the_command_runs_a_recipe_of_this_project_on_a_storage_that_outlives_the_pods(job: RayJob) -> None:
    words = job.spec.entrypoint.split()
    assert words[:3] == ["python", "-m", "orchestrator.run"]
    assert words[3] in recipes.names()
    assert words[words.index("--storage") + 1].startswith("s3://")


def test_a_lost_head_is_replaced_and_nothing_is_paid_for_after_the_run(job: RayJob) -> None:
    assert job.spec.backoff_limit > 0 and job.spec.shutdown_after_job_finishes


def test_every_node_has_one_image_and_memory_for_its_objects(job: RayJob) -> None:
    pods = groups(job)
    assert len({container.image for pod in pods for container in (*pod.containers, *pod.init_containers)}) == 1
    for pod in pods:
        assert [mount.mount_path for mount in pod.containers[0].volume_mounts] == ["/dev/shm"]
        assert {mount.name for mount in pod.containers[0].volume_mounts} <= {volume.name for volume in pod.volumes}


def test_requests_are_limits_so_that_ray_counts_what_a_pod_has(job: RayJob) -> None:
    for pod in groups(job):
        resources = pod.containers[0].resources
        assert resources.requests == resources.limits


def test_gpus_are_tried_before_a_pod_joins(job: RayJob) -> None:
    for pod in groups(job):
        has_gpu = "nvidia.com/gpu" in pod.containers[0].resources.limits
        assert bool(pod.init_containers) == has_gpu
        for container in pod.init_containers:
            assert (DEPLOY.parent / container.command[-1]).is_file()


@pytest.mark.parametrize("name", ["cifar10_resnet", "cifar100_resnet", "cifar100_wrn"])
def test_one_worker_of_a_recipe_fits_in_one_pod(job: RayJob, name: str) -> None:
    resources = recipes.load(name).resources
    pods = [pod.containers[0].resources.limits for pod in groups(job)]
    assert any(
        int(pod["cpu"]) >= resources.cpus and int(pod.get("nvidia.com/gpu", 0)) >= resources.gpus for pod in pods
    )


def test_the_image_has_python_and_versions_of_the_constraints() -> None:
    lines = (DEPLOY / "Containerfile").read_text().splitlines()
    stated = (DEPLOY.parent / "constraints.txt").read_text().splitlines()[0]
    (base,) = [line for line in lines if line.startswith("FROM ")]
    assert "python:3.11" in base and "Python 3.11" in stated
    assert any("-c constraints.txt" in line for line in lines)
    for line in lines:
        if line.startswith("COPY "):
            *sources, _ = line.split()[1:]
            assert all((DEPLOY.parent / source).exists() for source in sources)
