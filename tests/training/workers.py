"""Functions of the worker processes in ``test_world.py`` and ``test_batch_norm.py``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import torch.distributed as dist

from orchestrator.pipeline.specs import TrainSpec
from orchestrator.training.guidance.teaching import Teaching
from orchestrator.training.loop import Trained
from orchestrator.training.process import set_up_process
from orchestrator.training.state import TrainingState
from orchestrator.training.world import World
from tests.training.examples import (
    CPU,
    Keeper,
    Killed,
    Shown,
    data,
    learn,
    optimizer,
    pacing,
    teaching,
    teaching_of,
    training,
)
from tests.training.hints import hints_of
from tests.training.networks import NO_BATCH_NORM, SMOOTH

KILLED_AT = 8  # amid a pass
KILLED_BETWEEN = 7  # amid a pass too, and between two validations
SNAPSHOTS = (2, 6, 8, 13)  # between validations and at one, before and after the kill

CASES: dict[str, TrainSpec] = {
    "labels": training(NO_BATCH_NORM, record_learned_step=True),
    "selected": training(NO_BATCH_NORM, guidance=teaching("selected"), curriculum=pacing("both"), keep="best"),
    "ready": training(
        NO_BATCH_NORM,
        guidance=teaching("selected"),
        curriculum=pacing("both", selector="ready"),
        record_learned_step=True,
    ),
    "batch norm": training(SMOOTH, guidance=teaching("single")),
    "feature hints": training(NO_BATCH_NORM, guidance=teaching("single")),
}

WORLD_SIZES = (2, 3, 4)
# Steps of a learning rate of 1 without momentum: the weights' difference is the gradient.
PLAIN = optimizer(learning_rate=1.0, schedule="constant", momentum=0.0, nesterov=False, weight_decay=0.0, warmup=0.0)

CORRELATED = teaching("dense", loss="dist", loss_parameters={"dist": {"beta": 1.0, "gamma": 2.0}})


@dataclass(frozen=True)
class Grouped:
    """A training whose batches are cut into norm groups, and whose steps may be in parts."""

    norm_batch: int | None
    micro_batch: int | None = None
    steps: int = 5
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> TrainSpec:
        changes = {"evaluate_every": 2, "steps": self.steps, "norm_batch": self.norm_batch} | self.changes
        return training(SMOOTH, **changes)


GROUPED: dict[str, Grouped] = {
    "gradient, one group": Grouped(None, steps=1, changes={"optimizer": PLAIN}),
    "gradient, 2 groups": Grouped(16, steps=1, changes={"optimizer": PLAIN}),
    "gradient, 3 groups": Grouped(11, steps=1, changes={"optimizer": PLAIN}),
    "gradient, 8 groups": Grouped(4, steps=1, changes={"optimizer": PLAIN}),
    "gradient, 8 groups in parts": Grouped(4, 8, steps=1, changes={"optimizer": PLAIN}),
    "gradient, correlation over one group": Grouped(
        None, steps=1, changes={"optimizer": PLAIN, "guidance": CORRELATED}
    ),
    "gradient, correlation over 2 groups": Grouped(16, steps=1, changes={"optimizer": PLAIN, "guidance": CORRELATED}),
    "correlation over 8 groups in parts": Grouped(4, 4, changes={"guidance": CORRELATED}),
    "one group": Grouped(None),
    "2 groups": Grouped(16),
    "8 groups in parts": Grouped(4, 4),
    "taught by several, in parts": Grouped(
        8, 8, changes={"guidance": teaching("selected"), "curriculum": pacing("both"), "record_learned_step": True}
    ),
}


def learn_grouped(name: str, images: Shown, world: World | None = None) -> Trained:
    """Train a grouped case on images that remember what was shown."""
    case = GROUPED[name]
    return learn(case.spec, on=replace(data(), images=images), world=world, micro_batch=case.micro_batch)


TEACHINGS: dict[str, Callable[[TrainSpec], Teaching]] = {"feature hints": hints_of}


def learn_case(case: str, observer: Keeper | None = None, world: World | None = None) -> Trained:
    """Train a case, with the teaching of its spec unless it has one with parameters of its own."""
    spec = CASES[case]
    return learn(spec, observer, taught_by=TEACHINGS.get(case, teaching_of)(spec), world=world, snapshots=SNAPSHOTS)


class MainKeeper(Keeper):
    """Keeps the main worker's checkpoints alone, as Ray Train does, in a file that all workers resume from."""

    def __init__(self, path: Path, world: World, kill_at: int | None = None, between: bool = False) -> None:
        super().__init__(kill_at=kill_at, between=between)
        self.path, self.world = path, world

    def load(self) -> bytes | None:
        return self.path.read_bytes() if self.path.exists() else None

    def checkpoint_is_due(self) -> bool:
        assert self.world.main()  # alone
        return super().checkpoint_is_due()

    def checkpoint(self, state: Callable[[], bytes]) -> None:
        if self.world.main():
            self.path.write_bytes(state())
        dist.barrier()
        if self.kill_at is not None and TrainingState.from_bytes(self.path.read_bytes()).step >= self.kill_at:
            raise Killed


def work(rank: int, folder: str) -> None:
    """Train as worker ``rank`` of each number of workers; leave the results in ``folder``."""
    set_up_process(1)
    for size in WORLD_SIZES:
        if rank < size:
            dist.init_process_group("gloo", init_method=f"file://{folder}/meeting-{size}", rank=rank, world_size=size)
            results = Path(folder) / str(size)
            results.mkdir(exist_ok=True)
            world = World(rank, size)
            if size == 2:
                work_on_cases(world, results)
            for name in GROUPED:
                images = Shown(data().images)
                write(results, name, rank, learn_grouped(name, images, world))
                np.savez(results / f"{name}-{rank}.npz", *images.steps)
            dist.destroy_process_group()


def work_on_cases(world: World, results: Path) -> None:
    """Train every case, undisturbed and resumed."""
    rank = world.rank
    reported = {"of one": world.any(rank == 1, CPU), "of none": world.any(False, CPU)}
    (results / f"any-{rank}.json").write_text(json.dumps(reported))
    for number, case in enumerate(CASES):
        write(results, case, rank, learn_case(case, MainKeeper(results / f"{number}.whole", world), world))
        for kill_at, how in ((KILLED_AT, "resumed"), (KILLED_BETWEEN, "resumed between")):
            checkpoint = results / f"{number}.{how}"
            try:
                learn_case(case, MainKeeper(checkpoint, world, kill_at, between=kill_at == KILLED_BETWEEN), world)
            except Killed:
                write(results, f"{case}, {how}", rank, learn_case(case, MainKeeper(checkpoint, world), world))


def write(folder: Path, case: str, rank: int, trained: Trained) -> None:
    plain = {
        key: value
        for key, value in asdict(trained).items()
        if key not in ("weights", "snapshots") and not isinstance(value, np.ndarray)
    }
    tensors = {f"weights/{name}": value for name, value in trained.weights.items()}
    for step, weights in trained.snapshots.items():
        tensors |= {f"snapshots/{step}/{name}": value for name, value in weights.items()}
    tensors["taught"] = torch.from_numpy(trained.assignment_counts)
    if trained.learned_step is not None:
        tensors["learned_step"] = torch.from_numpy(trained.learned_step)
    safetensors.torch.save_file(tensors, folder / f"{case}-{rank}.safetensors")
    (folder / f"{case}-{rank}.json").write_text(json.dumps(plain))


def read(folder: Path, case: str, rank: int) -> Trained:
    """Returns the results that ``write`` wrote."""
    tensors = safetensors.torch.load_file(folder / f"{case}-{rank}.safetensors")
    learned = tensors.pop("learned_step", None)
    snapshots: dict[int, dict[str, torch.Tensor]] = {}
    for key in [key for key in tensors if key.startswith("snapshots/")]:
        _, step, name = key.split("/", 2)
        snapshots.setdefault(int(step), {})[name] = tensors.pop(key)
    return Trained(
        **json.loads((folder / f"{case}-{rank}.json").read_text())
        | {
            "assignment_counts": tensors.pop("taught").numpy(),
            "learned_step": None if learned is None else learned.numpy(),
            "snapshots": snapshots,
        },
        weights={name.removeprefix("weights/"): value for name, value in tensors.items()},
    )
