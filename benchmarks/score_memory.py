"""score_memory: memory of each process of a score stage, for ten times as many images.

Anonymous memory (``RssAnon``) of this process, which runs the stage, of Ray's worker processes, and of Ray's own; and
the shared memory of its object store, of which a process maps what it reads or writes (``RssShmem``). Pages of mapped
files, the images and the logits that are written, are not counted: the system takes them back when it needs room.
100 classes, 3 experts, 2 views, 3 folds; small networks, since the memory that grows does not depend on them.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors.torch

from benchmarks import workload
from orchestrator.artifacts import dataset, trained
from orchestrator.artifacts.dataset import Counts, DatasetAbout
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.export.warnings import quietly
from orchestrator.pipeline.kinds import ScoreSpec
from orchestrator.pipeline.placement import Placement
from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.recipe.resources import Resources
from orchestrator.report.markdown import table
from orchestrator.stages import score
from orchestrator.stages.job import Job
from orchestrator.training.networks import new_network

COUNTS = (20_000, 200_000)
CLASSES, SIZE, VIEWS, FOLDS, WORKERS = 100, 16, 2, 3, 2
EXPERTS = ("small", "middle", "large")
NETWORK = NetworkSpec(name="plain_cnn_2", classes=CLASSES, channels=1, image_size=SIZE)
PARTS = ("the stage's process", "a worker", "raylet", "another process of Ray", "object store, as a process maps it")
SECONDS = 0.1  # between two samples


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark: one round, one thread a process."""
    counts = tuple(count // 10 for count in COUNTS) if short else COUNTS
    found = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder, workload.local_ray():
            job = _job(Path(folder), count)
            with quietly(), _Peaks() as peaks:
                score.run(job)
            found.append(peaks.largest)
        print(f"  {count:,} images", flush=True)
    few, many = found
    rows = [(part, f"{few[part]:.0f}", f"{many[part]:.0f}", f"{many[part] / few[part]:.2f}") for part in PARTS]
    columns = ("largest memory, MiB", *(f"{count:,} images" for count in counts), "ratio")
    return f"{CLASSES} classes, {len(EXPERTS)} experts, {VIEWS} views, {FOLDS} folds\n\n" + table(columns, rows)


class _Peaks:
    """Context manager that samples the memory of this process and of those under it, in MiB.

    Attributes:
        largest: by part, the most that any process of it had.
    """

    def __init__(self) -> None:
        self.largest = dict.fromkeys(PARTS, 0.0)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(SECONDS):
            for part, size in _sizes():
                self.largest[part] = max(self.largest[part], size)


def _sizes() -> Iterator[tuple[str, float]]:
    status: dict[int, dict[str, str]] = {}
    for place in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = place.read_text().splitlines()
        except OSError:  # it has ended
            continue
        status[int(place.parent.name)] = dict(line.split(":", 1) for line in lines if ":" in line)
    family = {os.getpid()}
    for _ in range(4):  # generations
        family |= {process for process, its in status.items() if int(its["PPid"]) in family}
    for process in family & status.keys():
        its = status[process]
        name = its["Name"].strip()
        part = PARTS[3]
        if process == os.getpid():
            part = PARTS[0]
        elif name.startswith("ray::"):
            part = PARTS[1]
        elif name == "raylet":
            part = PARTS[2]
        yield part, _mebibytes(its, "RssAnon")
        yield PARTS[4], _mebibytes(its, "RssShmem")


def _mebibytes(status: dict[str, str], field: str) -> float:
    return int(status.get(field, "0 kB").split()[0]) / 1024


def _job(folder: Path, count: int) -> Job:
    store = Store(str(folder))
    generator = np.random.default_rng(0)
    about = DatasetAbout(
        classes=CLASSES, class_names=tuple(map(str, range(CLASSES))), image_shape=(1, SIZE, SIZE), image_size=SIZE,
        counts=Counts(count, 0, 0, 0), broken=(), layout="arrays", mean=(0.5,), std=(0.25,),
    )  # fmt: skip
    images = generator.integers(0, 256, (count, SIZE, SIZE, 1), dtype=np.uint8)
    labels = generator.integers(0, CLASSES, count)
    with store.scratch() as scratch:
        dataset.write_arrays(scratch, about, labels, np.zeros(count, np.uint8), images, None)
        inputs = {"data": store.commit(Artifact("data", "ingest", "data", {}, {}, 0.0, 0.0, "here"), scratch)}
    roles = [f"expert:{name}" for name in EXPERTS] + [f"fold:{fold}" for fold in range(FOLDS)]
    for seed, role in enumerate(roles):
        with store.scratch() as scratch:
            safetensors.torch.save_file(new_network(NETWORK, seed).state_dict(), scratch / trained.WEIGHTS)
            record = Artifact(f"network-{seed}", "train", role, {}, {}, 0.0, 0.0, "here")
            inputs[role] = store.commit(record, scratch)
    spec = ScoreSpec(
        experts=EXPERTS, networks=(NETWORK,) * len(EXPERTS), views=VIEWS, views_seed=0, augmentation="crop_flip",
        precision="fp32", threads=1, ladder=EXPERTS, fold_network=NETWORK, folds=FOLDS,
    )  # fmt: skip
    return Job(
        kind="score", name="score", identity=f"score-{count:020d}", spec=spec.model_dump(mode="json"), inputs=inputs,
        storage=str(folder), dataset_root="", resources=Resources(), placement=Placement("ray_data", WORKERS),
    )  # fmt: skip
