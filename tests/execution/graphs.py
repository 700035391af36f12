"""Graphs of stages that only wait, on real Ray with logical CPUs and GPUs, in a process of their own.

``python -m tests.execution.graphs FUNCTION FOLDER`` runs a scenario below and prints its outcome as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray

from orchestrator.artifacts.store import Artifact, Store
from orchestrator.execution.cluster import ClusterWatch
from orchestrator.execution.executor import Outcome, execute
from orchestrator.execution.run_state import RunState, StageEntry
from orchestrator.interruption import Interruption
from orchestrator.pipeline.graph import Stage
from orchestrator.pipeline.kinds import KINDS, IngestSpec
from orchestrator.pipeline.placement import Facts, Launch, Part, Placement
from orchestrator.stages.job import Job
from orchestrator.stages.ray_tasks import task
from orchestrator.stages.status import Status
from tests.examples import tiny
from tests.run.conftest import apart

BROKEN_NODE = "TESTS_BROKEN_NODE"  # a variable in the environment of a node whose every call fails
Place = dict[str, Any]  # where and when a stage worked


def outcome_of(scenario: Callable[[Path], Any], folder: Path) -> Any:
    """Returns the result of a scenario, run in a process of its own."""
    command = [sys.executable, "-m", "tests.execution.graphs", scenario.__name__, str(folder)]
    with apart() as variables:
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


# -- stages ----------------------------------------------------------------------------------------------------------


def stage(
    name: str, *needs: Stage, seconds: float = 0.0, cpus: int = 1, gpus: float = 0.0, launch: Launch = "in_process",
    workers: int = 1, part: Part = "student", breaks: bool = False, until: Path | None = None,
) -> Stage:  # fmt: skip
    """A stage that waits until a file exists, then for some seconds.

    One that ``breaks`` meets a fault on a broken node.
    """
    waits = {"seconds": seconds, "breaks": breaks, "until": str(until) if until else None}
    spec = IngestSpec(dataset={"name": name, **waits}, fingerprint="")
    inputs = tuple((f"input:{upstream.name}", upstream) for upstream in needs)
    return Stage("train", name, spec, inputs, Placement(launch, workers, cpus, gpus), Facts(part=part))


def install() -> None:
    """Let trainings be stages that wait; called in each of Ray's processes."""
    KINDS["train"] = dataclasses.replace(
        KINDS["train"], outcome=lambda results: "",
        function="tests.execution.graphs:work", ray_train="tests.execution.graphs:work_of_ladder",
    )  # fmt: skip


def work(job: Job) -> Artifact:
    start, place = time.time(), wait(job)
    with job.store.scratch() as scratch:
        return job.commit(scratch, start, {"places": [place]})


def work_of_ladder(job: Job, upstream: dict[str, tuple[str, Any]]) -> Artifact:
    ray.get([item for _, item in upstream.values() if isinstance(item, ray.ObjectRef)])
    start, placement = time.time(), job.placement
    workers = [task(wait, placement.cpus, placement.gpus).remote(job) for _ in range(placement.workers)]
    with job.store.scratch() as scratch:
        return job.commit(scratch, start, {"places": ray.get(workers)})


def wait(job: Job) -> Place:
    start, what = time.time(), job.spec["dataset"]
    job.say(doing="waiting")
    if what["breaks"] and BROKEN_NODE in os.environ:
        raise OSError("the disk of this node is broken")
    while what["until"] and not Path(what["until"]).exists():
        time.sleep(0.1)
    time.sleep(what["seconds"])
    context = ray.get_runtime_context()
    gpus = context.get_accelerator_ids()["GPU"]
    return {"process": os.getpid(), "gpus": gpus, "node": context.get_node_id(), "start": start, "end": time.time()}


# -- runs ------------------------------------------------------------------------------------------------------------


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.noted_: list[str] = []
        self.changes: list[str] = []

    def ended(self, entry: StageEntry) -> None:
        return None

    def noted(self, name: str, status: Status) -> None:
        self.noted_.append(f"{name}: {status.get('doing')}")

    def noticed(self, change: str) -> None:
        self.changes.append(change)

    def refresh(self) -> None:
        return None


@dataclasses.dataclass
class Ran:
    """Outcome of a run."""

    state: RunState
    outcome: Outcome
    heard: Heard

    @property
    def places(self) -> dict[str, list[Place]]:
        """The process and node of each stage."""
        return {artifact.name: artifact.results["places"] for artifact in self.state.artifacts.values()}


def run(
    stages: Sequence[Stage], folder: Path, *overrides: str, heard: Heard | None = None, state: RunState | None = None
) -> Ran:
    """Run stages on the Ray that this process is connected to."""
    install()
    recipe = tiny(*overrides)
    state, heard = state or RunState(stages, {}), heard or Heard()
    with Interruption() as interruption:
        outcome = execute(
            state, ClusterWatch(recipe, lambda nodes: []), Store(str(folder)), recipe, heard, lambda: None, interruption
        )  # fmt: skip
    return Ran(state, outcome, heard)


def start(cpus: int = 0, gpus: int = 0, address: str | None = None) -> None:
    """Start Ray with logical resources, or connect to a cluster."""
    resources: dict[str, Any] = {} if address else {"num_cpus": cpus, "num_gpus": gpus, "include_dashboard": False}
    ray.init(
        address=address or "local", log_to_driver=False, logging_level=logging.ERROR,
        runtime_env={"worker_process_setup_hook": install}, **resources,
    )  # fmt: skip


# -- scenarios -------------------------------------------------------------------------------------------------------


def two_gpus(folder: Path) -> dict[str, list[Place]]:
    """On two GPUs and two CPUs: stages of a whole GPU, students of half of one, and stages of a CPU."""
    start(cpus=2, gpus=2)
    whole = [stage(f"whole-{n}", gpus=1.0, cpus=0) for n in range(4)]
    places = run(whole, folder, "resources.student_gpus=1", "resources.cpus=1").places
    halves = [stage(f"half-{n}", gpus=0.5, cpus=0, seconds=2.0) for n in range(4)]
    places |= run(halves, folder, "resources.student_gpus=0.5").places
    return places | run([stage(f"cpu-{n}") for n in range(6)], folder).places


def few_on_many_nodes(folder: Path) -> dict[str, list[str]]:
    """Two students of a GPU each, then two trials, on two nodes of four GPUs; returns the node of each."""
    from ray import tune
    from ray.cluster_utils import Cluster

    def trial(config: dict[str, int]) -> None:
        time.sleep(3.0)
        tune.report({"node": ray.get_runtime_context().get_node_id()})

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=4, num_gpus=4)
    start(address=cluster.address)
    students = [stage(f"student-{n}", gpus=1.0, seconds=2.0) for n in range(2)]
    places = run(students, folder / "storage", "resources.student_gpus=1").places
    tuner = tune.Tuner(
        tune.with_resources(trial, {"CPU": 1, "GPU": 1}),
        param_space={"number": tune.grid_search([0, 1])},
        run_config=tune.RunConfig(storage_path=str(folder / "tune"), verbose=0),
    )
    found = tuner.fit()
    trials = [(found[number].metrics or {})["node"] for number in range(len(found))]
    return {"students": [place["node"] for (place,) in places.values()], "trials": trials}


def whole_gpu_among_fractions(folder: Path) -> dict[str, list[Place]]:
    """A teacher, a TA of a whole GPU after it, and many short students of a quarter of a GPU."""
    start(cpus=5, gpus=1)
    teacher = stage("teacher", gpus=1.0, seconds=1.0, launch="ray_train", part="expert")
    students = [stage(f"student-{n}", gpus=0.25, seconds=1.0) for n in range(8)]
    ta = stage("ta", teacher, gpus=1.0, seconds=1.0, launch="ray_train", part="expert")
    return run([*students, teacher, ta], folder, "resources.student_gpus=0.25", "resources.gpus=1").places


def broken_node(folder: Path) -> dict[str, Any]:
    """Students on two nodes, on one of which every call fails; an evaluation waits in Ray's line for each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1, env_vars={BROKEN_NODE: "1"})
    start(address=cluster.address)
    students = [stage(f"student-{n}", seconds=1.0, breaks=True) for n in range(4)]
    after = [stage(f"after-{item.name}", item, cpus=0, launch="ray_train", part="expert") for item in students]
    ran = run([*students, *after], folder)
    return {"failures": [str(item) for item in ran.outcome.failures], "noted": ran.heard.noted_, "places": ran.places}


def nodes_come_and_go(folder: Path) -> dict[str, Any]:
    """Students that wait for a second node, and a last one that waits until the node has left again."""
    from ray.cluster_utils import Cluster

    joined, left = folder / "joined", folder / "left"

    class Changing(Heard):
        node: Any = None

        def noticed(self, change: str) -> None:
            super().noticed(change)
            (left if "left the cluster" in change else joined).touch()

        def refresh(self) -> None:
            if self.node is None:
                self.node = cluster.add_node(num_cpus=2)
            worked_there = any(
                place["node"] == self.node.node_id
                for artifact in state.artifacts.values()
                for place in artifact.results["places"]
            )
            if joined.exists() and worked_there and self.node in cluster.worker_nodes:
                cluster.remove_node(self.node)

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    start(address=cluster.address)
    students = [stage(f"student-{n}", seconds=2.0, until=joined) for n in range(4)]
    stages = [*students, stage("last", *students, until=left)]
    heard, state = Changing(), RunState(stages, {})
    ran = run(stages, folder / "storage", heard=heard, state=state)
    failures = [str(item) for item in ran.outcome.failures]
    return {"failures": failures, "changes": heard.changes, "noted": heard.noted_, "places": ran.places}


def drain(address: str, node_id: str) -> None:
    """Tell a node to leave, as a cloud does that takes a spot instance back."""
    command = [
        str(Path(sys.executable).with_name("ray")), "drain-node", "--address", address, "--node-id", node_id,
        "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot", "--deadline-remaining-seconds", "60",
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def node_is_drained(folder: Path) -> dict[str, Any]:
    """Students on two nodes, one of which is told to leave and goes."""
    from ray.cluster_utils import Cluster

    class Draining(Heard):
        told_at = 0.0

        def refresh(self) -> None:
            if not self.told_at and any(entry.status.get("node_id") == node.node_id for entry in state.stages.values()):
                drain(cluster.address, node.node_id)
                self.told_at = time.time()
            if self.told_at and self.changes and time.time() - self.told_at > 3.0 and node in cluster.worker_nodes:
                cluster.remove_node(node)

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    node = cluster.add_node(num_cpus=1)
    start(address=cluster.address)
    heard, stages = Draining(), [stage(f"student-{n}", seconds=10.0) for n in range(3)]
    state = RunState(stages, {})
    ran = run(stages, folder, heard=heard, state=state)
    failures = [str(item) for item in ran.outcome.failures]
    return {"failures": failures, "changes": heard.changes, "noted": heard.noted_, "places": ran.places}


if __name__ == "__main__":
    from tests.execution import graphs  # this module as Ray's processes import it

    print(json.dumps(getattr(graphs, sys.argv[1])(Path(sys.argv[2]))), flush=True)
