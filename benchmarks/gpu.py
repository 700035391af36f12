"""gpu: a student's pass on the first GPU against the floor on the same one, and the GPU's busy share in a search.

The busy share is what ``nvidia-smi`` reports (the share of the time in which some kernel ran), sampled every half
second between the start of the first trial and that of the last. Several trials share the GPU.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch
import yaml

from benchmarks import epoch, workload
from orchestrator.report.markdown import table

GPU = torch.device("cuda", 0)
TRIALS, PASS = 32, 51_200
KINDS = (("labels", "none"), ("single", "cached"), ("selected", "cached"), ("selected", "online"))
INTERVAL = 0.5  # seconds between two samples
RECIPE = {
    "name": "busy",
    "dataset": {
        "name": "synthetic",
        "validation": 1000,
        "synthetic": {"images": 21_000, "test_images": 1000, "classes": 10, "image_size": 32, "channels": 3},
    },
    "ladder": {"networks": [{"name": "resnet20", "steps": 400}, {"name": "resnet14", "steps": 400}, "resnet8"]},
    "training": {"steps": 2000, "batch_size": 128, "precision": "bf16"},
    "distillation": {"views": 4},
    "difficulty": {"scorer": "mean_loss"},
    "search": {"trials": TRIALS, "round_size": 16, "methods": ["ces_kd"]},
    "methods": ["labels", "ces_kd"],
    "seeds": [0],
    "resources": {"cpus": 1, "gpus": 1, "student_gpus": 0.125},
}


def run(rounds: int, short: bool, threads: int) -> str:
    """Returns the benchmark's tables.

    Raises:
        SystemExit: when this machine has no GPU.
    """
    if not torch.cuda.is_available():
        raise SystemExit("gpu: PyTorch sees no GPU here; run it on a machine that has one")
    passes = epoch.run(rounds, short, threads, KINDS, GPU, PASS // 4 if short else PASS, compiled=not short)
    with tempfile.TemporaryDirectory() as folder:
        rows = _search(Path(folder), short)
    return f"{passes}\n\n{table(('a search', 'value'), rows)}"


def _search(folder: Path, short: bool) -> list[tuple[str, str]]:
    recipe = RECIPE | ({"training": {"steps": 200, "batch_size": 128, "precision": "bf16"}} if short else {})
    (folder / "busy.yaml").write_text(yaml.safe_dump(recipe))
    samples: list[tuple[float, float]] = []
    ended = threading.Event()
    sampler = threading.Thread(target=_sample, args=(samples, ended))
    sampler.start()
    began = time.time()
    command = [sys.executable, "-m", "orchestrator.run", str(folder / "busy.yaml"), "--storage", str(folder / "runs")]
    done = subprocess.run(command, capture_output=True, text=True)
    took = time.time() - began
    ended.set()
    sampler.join()
    assert done.returncode == 0, done.stderr[-2000:]
    spans = workload.trial_spans(folder / "runs")
    first, last = min(start for start, _ in spans), max(start for start, _ in spans)
    busy = [share for moment, share in samples if first <= moment <= last]
    return [
        ("trials; of one round; at once on the GPU", f"{len(spans)}; 16; 8"),
        ("GPU busy share between the first trial's start and the last's", f"{statistics.mean(busy):.0%}"),
        ("seconds between them; of the whole run", f"{last - first:.0f}; {took:.0f}"),
    ]


def _sample(samples: list[tuple[float, float]], ended: threading.Event) -> None:
    command = ["nvidia-smi", "--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    while not ended.wait(INTERVAL):
        samples.append((time.time(), float(subprocess.run(command, capture_output=True, text=True).stdout) / 100))
