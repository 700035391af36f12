"""Function of each worker process in ``test_world.py``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
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
from orchestrator.training.world import World
from tests.training.examples import CPU, Keeper, Killed, learn, pacing, teaching, teaching_of, training
from tests.training.hints import hints_of
from tests.training.networks import NO_BATCH_NORM

KILLED_AT = 8  # amid a pass

CASES: dict[str, TrainSpec] = {
    "labels": training(NO_BATCH_NORM, record_learned_step=True),
    "selected": training(NO_BATCH_NORM, guidance=teaching("selected"), curriculum=pacing("both"), keep="best"),
    "batch norm": training("plain_cnn_2", guidance=teaching("single")),
    "feature hints": training(NO_BATCH_NORM, guidance=teaching("single")),
}
TEACHINGS: dict[str, Callable[[TrainSpec], Teaching]] = {"feature hints": hints_of}


def learn_case(case: str, observer: Keeper | None = None, world: World | None = None) -> Trained:
    """Train a case, with the teaching of its spec unless it has one with parameters of its own."""
    spec = CASES[case]
    return learn(spec, observer, taught_by=TEACHINGS.get(case, teaching_of)(spec), world=world)


class MainKeeper(Keeper):
    """Keeps the main worker's checkpoints alone, as Ray Train does, in a file that all workers resume from."""

    def __init__(self, path: Path, world: World, kill_at: int | None = None) -> None:
        super().__init__(kill_at=kill_at)
        self.path, self.world = path, world

    def load(self) -> bytes | None:
        return self.path.read_bytes() if self.path.exists() else None

    def evaluated(self, row: dict[str, Any], state: Callable[[], bytes]) -> bool:
        if self.world.main():
            self.path.write_bytes(state())
        dist.barrier()
        if row["step"] == self.kill_at:
            raise Killed
        return True


def work(rank: int, size: int, folder: str) -> None:
    """Train every case, undisturbed and resumed, as worker ``rank`` of ``size``; leave the results in ``folder``."""
    set_up_process(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    world, results = World(rank, size), Path(folder)
    reported = {"of one": world.any(rank == 1, CPU), "of none": world.any(False, CPU)}
    (results / f"any-{rank}.json").write_text(json.dumps(reported))
    for number, case in enumerate(CASES):
        write(results, case, rank, learn_case(case, MainKeeper(results / f"{number}.whole", world), world))
        checkpoint = results / f"{number}.killed"
        try:
            learn_case(case, MainKeeper(checkpoint, world, KILLED_AT), world)
        except Killed:
            write(results, f"{case}, resumed", rank, learn_case(case, MainKeeper(checkpoint, world), world))
    dist.destroy_process_group()


def write(folder: Path, case: str, rank: int, trained: Trained) -> None:
    plain = {
        key: value for key, value in asdict(trained).items() if key != "weights" and not isinstance(value, np.ndarray)
    }
    tensors = {f"weights/{name}": value for name, value in trained.weights.items()}
    tensors["taught"] = torch.from_numpy(trained.assignment_counts)
    if trained.learned_step is not None:
        tensors["learned_step"] = torch.from_numpy(trained.learned_step)
    safetensors.torch.save_file(tensors, folder / f"{case}-{rank}.safetensors")
    (folder / f"{case}-{rank}.json").write_text(json.dumps(plain))


def read(folder: Path, case: str, rank: int) -> Trained:
    """Returns the results that ``write`` wrote."""
    tensors = safetensors.torch.load_file(folder / f"{case}-{rank}.safetensors")
    learned = tensors.pop("learned_step", None)
    return Trained(
        **json.loads((folder / f"{case}-{rank}.json").read_text())
        | {
            "assignment_counts": tensors.pop("taught").numpy(),
            "learned_step": None if learned is None else learned.numpy(),
        },
        weights={name.removeprefix("weights/"): value for name, value in tensors.items()},
    )
