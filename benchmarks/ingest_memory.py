"""ingest_memory: largest memory of each process of an ingest, for small sets and large ones.

Sets of small JPEGs, packed through Ray Data, and arrays of CIFAR's shape, in a memory map as a user-defined set may
return one. Each ingest runs in a new process on a Ray of its own; memory is private memory (RssAnon), polled, since
pages of mapped files are the system's to drop. The table's last column compares with the smaller set.
"""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from orchestrator.datasets import TEST, TRAIN, ArrayImages, DatasetRecipe
from orchestrator.report.markdown import table

SIZES = {"photos": (20_000, 200_000), "arrays": (50_000, 1_000_000)}
SHORT_SIZES = {"photos": (2_000, 20_000), "arrays": (20_000, 100_000)}
CLASSES, EDGE = 10, 32
MAPPED = "BENCHMARK_MAPPED"  # in the environment: file of the mapped set
POLL_SECONDS = 0.02


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark; one round, since memory does not vary much."""
    rows = []
    for kind, sizes in (SHORT_SIZES if short else SIZES).items():
        smaller: dict[str, float] = {}
        for count in sizes:
            peaks = _ask(kind, count, threads)
            print(f"  {count:,} {kind}: {peaks}", flush=True)
            for process, peak in peaks.items():
                first = smaller.setdefault(process, peak)
                rows.append((f"{count:,} {kind}", process, f"{peak / 2**20:,.0f} MB", f"{peak / first:.3f}"))
    return table(("ingest of", "process", "largest private memory", "x smaller set's"), rows)


def _ask(kind: str, count: int, threads: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.ingest_memory", kind, str(count), str(threads), folder]
        variables = {**os.environ, MAPPED: f"{folder}/images.npy"}
        (write_photos if kind == "photos" else write_arrays)(Path(folder), count)
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found


def write_photos(folder: Path, count: int) -> None:
    """Small JPEGs in ImageNet's layout: 50 drawn ones, with a number behind each, which decoders ignore."""
    from PIL import Image

    drawn = []
    for seed in range(50):
        content = io.BytesIO()
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (EDGE, EDGE, 3), np.uint8)).save(content, "JPEG")
        drawn.append(content.getvalue())
    for number in range(count):
        part = "val" if number < 10 * CLASSES else "train"
        place = folder / "photos" / part / f"class{number % CLASSES}"
        if number < 11 * CLASSES:
            place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:08d}.jpg").write_bytes(drawn[number % 50] + number.to_bytes(4, "big"))


def write_arrays(folder: Path, count: int) -> None:
    """A mapped array of images of CIFAR's shape."""
    images = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=(count, EDGE, EDGE, 3))
    block = np.random.default_rng(0).integers(0, 256, (10_000, EDGE, EDGE, 3), np.uint8)
    for start in range(0, count, len(block)):
        images[start : start + len(block)] = block[: count - start]


def mapped_set(_: DatasetRecipe) -> ArrayImages:
    """The set of ``write_arrays``, as a user-defined one."""
    images = np.load(os.environ[MAPPED], mmap_mode="r")
    subset = np.full(len(images), TRAIN, np.uint8)
    subset[-1000:] = TEST
    names = tuple(map(str, range(CLASSES)))
    return ArrayImages(images, np.arange(len(images)) % CLASSES, subset, None, names)


def child(kind: str, threads: int, folder: str) -> None:
    """Ingest a written set in this process; prints the largest private memory of each kind of process."""
    import ray

    from orchestrator import datasets
    from orchestrator.pipeline.placement import Facts
    from orchestrator.recipe.resources import Resources
    from orchestrator.stages import ingest
    from orchestrator.stages.job import Job

    recipe = DatasetRecipe(name="benchmarks.ingest_memory:mapped_set")
    if kind == "photos":
        recipe = DatasetRecipe(name="image_folder", root=f"{folder}/photos", image_size=EDGE, pack=True)
        ray.init(num_cpus=threads, include_dashboard=False, logging_level=logging.ERROR, object_store_memory=2 << 27)
    job = Job(
        kind="ingest", name="ingest", identity="ingest-0", inputs={}, storage=f"{folder}/runs",
        spec={"dataset": {}, "fingerprint": datasets.describe(recipe).fingerprint}, dataset_root=recipe.root,
        resources=Resources(), facts=Facts(dataset=recipe),
    )  # fmt: skip
    peaks: Counter[str] = Counter()
    ended = threading.Event()
    poll = threading.Thread(target=_poll, args=(peaks, ended))
    poll.start()
    ingest.run(job)
    ended.set()
    poll.join()
    print(json.dumps(peaks), flush=True)


def _poll(peaks: Counter[str], ended: threading.Event) -> None:
    while not ended.is_set():
        for process, name in _family():
            kind = "ingest" if process == os.getpid() else "Ray Data's tasks" if "ray::" in name else ""
            if kind:
                peaks[kind] = max(peaks[kind], _private(process))
        time.sleep(POLL_SECONDS)


def _family() -> Iterator[tuple[int, str]]:
    """Yields this process, and workers of Ray, of which this machine's other commands may have some too."""
    yield os.getpid(), ""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name = (entry / "cmdline").read_bytes().decode(errors="replace")
                group = _ancestors(int(entry.name)) if name.startswith("ray::") else set()
            except OSError:
                continue
            if os.getpid() in group:
                yield int(entry.name), name


def _ancestors(process: int) -> set[int]:
    found: set[int] = set()
    while process > 1 and process not in found:
        found.add(process)
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def _private(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return max((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), default=0)


if __name__ == "__main__":
    child(sys.argv[1], int(sys.argv[3]), sys.argv[4])
