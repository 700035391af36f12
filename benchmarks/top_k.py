"""top_k: test accuracy of a student whose expert's logits are stored whole, and of one with the k largest of 100.

Whole runs of one recipe by the program, over one storage, so that all students have the same teacher. The student has
far fewer steps than it needs, since an expert is worth most there: accuracy is well above chance and well below that
of the teacher.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from orchestrator.report.markdown import table

CLASSES, SEEDS = 100, (0, 1, 2)
KEPT = (None, 50, 10)
RECIPE = f"""
name: top_k
dataset:
  name: synthetic
  validation: 1000
  synthetic: {{images: 9000, test_images: 5000, classes: {CLASSES}, image_size: 16, channels: 3, noise: 1.0}}
ladder:
  networks: [{{name: plain_cnn_4, steps: 300}}, resnet8]
training: {{steps: 200, batch_size: 128, augmentation: none, precision: fp32}}
distillation: {{source: cached, views: 1}}
difficulty: {{scorer: mean_loss}}
search: {{trials: 0}}
methods: [labels, kd]
seeds: {list(SEEDS)}
"""


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark; three seeds, a thread each."""
    rows: list[tuple[str, ...]] = []
    temperatures = (4.0,) if short else (4.0, 2.0)
    teacher = 0.0
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder, "top_k.yaml")
        recipe.write_text(RECIPE)
        for temperature in temperatures:
            for kept in KEPT:
                report = _report(recipe, temperature, kept)
                if not rows:
                    teacher = 100 * report["networks"][0]["test_accuracy"]
                    rows.append(("labels alone", "", "", *_accuracies(report, "labels")))
                size = f"{2 * CLASSES if kept is None else 4 * kept + 2:,}"
                name = "kd, all logits" if kept is None else f"kd, the {kept} largest"
                rows.append((name, f"{temperature:g}", size, *_accuracies(report, "kd")))
                print(f"  T = {temperature:g}, {name}", flush=True)
    columns = ("student", "T", "bytes a view", "mean", "s.d.", *(f"seed {seed}" for seed in SEEDS))
    about = f"{CLASSES} classes, teacher plain_cnn_4 ({teacher:.1f} %), student resnet8; test accuracy in per cent"
    return f"{about}\n\n" + table(columns, rows)


def _report(recipe: Path, temperature: float, kept: int | None) -> dict[str, Any]:
    fields = [f"distillation.temperature={temperature}", f"distillation.top_k={'null' if kept is None else kept}"]
    storage = recipe.parent / "storage"
    command = [sys.executable, "-m", "orchestrator.run", str(recipe), *fields, "--storage", str(storage), "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    reports = storage / "reports"
    content: dict[str, Any] = json.loads((reports / (reports / "latest").read_text() / "report.json").read_text())
    return content


def _accuracies(report: dict[str, Any], method: str) -> list[str]:
    """Mean, standard deviation and each seed's test accuracy, in per cent."""
    found = {row["seed"]: 100 * row["test_accuracy"] for row in report["methods"] if row["method"] == method}
    each = [found[seed] for seed in SEEDS]
    return [f"{value:.1f}" for value in (mean(each), stdev(each), *each)]
