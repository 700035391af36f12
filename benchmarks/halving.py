"""halving: the loss through early stopping: one search of random points without and one with it, default recipe.

Both searches have the same points. The first trains every point in full; the second compares all of them after short
whole trainings. So each point has the value that halving compares, the value of the full training, and the value that
the full training had after the rung's steps (which stopping a running trial would compare).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Spread
from curricula.difficulty import spearman
from orchestrator.report.markdown import table

RECIPE = ("mnist5k", "methods=[ces_kd]", "search.sampler=random", "search.rungs=[0.25]")
METRIC = "validation_accuracy"


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark; ``rounds`` are seeds of the search, ``threads`` those of the recipe."""
    trials = 12 if short else 32
    rows, judged, running, spreads = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(rounds):
            asked = [*RECIPE, f"search.trials={trials}", f"search.seed={seed}"]
            whole = _report(folder, [*asked, "search.scheduler=none"])
            halved = _report(folder, [*asked, "search.scheduler=halving"])
            mine, cut, full = _values(whole, halved)
            judged.append(spearman(np.array(mine), np.array(full)))
            running.append(spearman(np.array(cut), np.array(full)))
            found = [[row[METRIC] for row in each["methods"]] for each in (whole, halved)]
            spreads.append(float(np.std(found[0], ddof=1)))
            rows.append((seed, *(f"{100 * np.mean(values):.2f}" for values in found), f"{100 * spreads[-1]:.2f}"))
            print(f"  search {seed + 1} of {rounds}")
    return (
        f"mnist5k, {trials} random points, {len(found[0])} final students each; validation accuracy in per cent\n\n"
        + table(("search seed", "best without halving", "best with halving", "s.d. over students' seeds"), rows)
        + "\n\n"
        + table(
            ("rank correlation with the whole training's value", "over the points"),
            [
                ("a whole training of a quarter of the steps (halving)", Spread.of(judged)),
                ("the whole training's own value after a quarter", Spread.of(running)),
            ],
        )
    )


def _report(folder: str, words: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "orchestrator.run", *words, "--storage", folder, "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    reports = Path(folder, "reports")
    return json.loads((reports / (reports / "latest").read_text() / "report.json").read_text())


def _values(whole: dict[str, Any], halved: dict[str, Any]) -> tuple[list[float], list[float], list[float]]:
    """Of each point that both searches finished: the rung's value, the whole one's at the rung, and its last."""
    short = {json.dumps(trial["config"]): trial["rungs"][0] for trial in halved["search"]["trials"] if trial["rungs"]}
    found = []
    for trial in whole["search"]["trials"]:
        point = json.dumps(trial["config"])
        if trial["status"] == "finished" and point in short:
            steps, value = short[point]
            at_rung = max((row for row in trial["curve"] if row[0] <= steps), default=(0, 0.0))[1]
            found.append((value, at_rung, trial[METRIC]))
    rung, cut, full = (list(column) for column in zip(*found, strict=True))
    return rung, cut, full
