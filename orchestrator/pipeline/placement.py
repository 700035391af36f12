"""Facts that a stage carries besides its spec: its place in the run, and where its work is placed on the cluster.

None of them is part of a stage's identity. Imports neither torch nor ray.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.datasets.spec import DatasetRecipe
from orchestrator.recipe.topologies import Topology

# In the stage's own Ray task, or by what the task starts: workers of Ray Train, tasks of Ray Data, trials of Ray Tune.
Launch = Literal["in_process", "ray_train", "ray_data", "ray_tune"]
Part = Literal["expert", "fold", "student", "trial"]


@dataclass(frozen=True)
class Placement:
    """Resources of a stage's work.

    Attributes:
        launch: the library of Ray that starts the workers.
        workers: how many can work at once; each takes one slot of the cluster.
        cpus: CPUs of one worker.
        gpus: GPUs of one worker.
        trial_workers: how many of the workers train one trial of a search together.
        fewest_workers: with how many an elastic training goes on; None for one that always has all of them.
    """

    launch: Launch = "in_process"
    workers: int = 1
    cpus: int = 1
    gpus: float = 0.0
    trial_workers: int = 1
    fewest_workers: int | None = None

    @property
    def least(self) -> int:
        """The workers without which the work does not start."""
        return self.workers if self.fewest_workers is None else self.fewest_workers


def room_on(resources: Mapping[str, float], cpus: float, gpus: float) -> float:
    """Returns how many workers of so many CPUs and GPUs a node's resources, by Ray's names, have room for."""
    by_cpu = resources.get("CPU", 0.0) / cpus if cpus else math.inf
    by_gpu = resources.get("GPU", 0.0) / gpus if gpus else math.inf
    room = min(by_cpu, by_gpu)
    return room if math.isinf(room) else max(0, math.floor(room + 1e-9))


@dataclass(frozen=True)
class Facts:
    """A stage's place in its run, as far as it has one.

    Attributes:
        part: the role of the network that the stage trains or tests; None where it works on several, or on none.
        expert: label of that network, if it is an expert, or of the one that is scored alone.
        method: method of the student, of the search or of its trial; of a score of experts that only its students have.
        seed: seed of the final student.
        topology: topology of the expert's ladder.
        ladder_seed: seed of the ladder that the stage belongs to, where it is not the run's first.
        dataset: what an ingest reads, with its folder.
        weights: file from which an expert's weights are taken.
        snapshots: steps after which a training keeps the weights too, for the stages that take them.
    """

    part: Part | None = None
    expert: str | None = None
    method: str | None = None
    seed: int | None = None
    topology: Topology | None = None
    ladder_seed: int | None = None
    dataset: DatasetRecipe | None = None
    weights: Path | None = None
    snapshots: tuple[int, ...] = ()

    @property
    def label(self) -> str | None:
        """Short name among stages of one kind: ``<method>/seed-<seed>`` or the expert's; None for other stages."""
        if self.part == "student":
            return f"{self.method}/seed-{self.seed}"
        return self.expert and self.named(self.expert)

    def named(self, name: str) -> str:
        """Returns a name of the first ladder's, with the seed of the stage's own where that is another."""
        return name if self.ladder_seed is None else f"{name}@seed-{self.ladder_seed}"
