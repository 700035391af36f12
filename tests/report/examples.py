"""Runs whose artifacts were made by hand, with the files that the page reads."""

from __future__ import annotations

import dataclasses
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from plotly.offline import get_plotlyjs

from orchestrator import report
from orchestrator.artifacts import dataset, trained
from orchestrator.artifacts.scores import ScoreAbout, ScoreWriter
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.trials import Point
from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.stage_state import StageState
from orchestrator.report.content.schema import Trial
from tests.artifacts.formats import about_data
from tests.examples import make_artifacts, planned
from tests.report.written import SIZES

IMAGES, CLASSES = 384, 4
SPACE: Point = {
    "mode": "promote",
    "selector": "stratified",
    "family": "linear",
    "b": 0.3,
    "temperature": 4.0,
    "kd_weight": 0.9,
}
Made = tuple[Plan, Store, dict[str, Artifact]]


def trials(count: int = 6) -> list[Trial]:
    """Trials of which the later ones are better; with each, what it had after 10 steps and after 30."""
    return [
        {
            "id": number, "config": {**SPACE, "a": round(0.1 * (number + 1), 4)}, "status": "finished", "steps": 30,
            "validation_accuracy": 0.6 + 0.02 * number, "validation_loss": 1.0, "seconds": 1.0,
            "rungs": [(10, 0.5 + 0.02 * number), (30, 0.6 + 0.02 * number)],
        }
        for number in range(count)
    ]  # fmt: skip


def run_of(folder: Path, *overrides: str, without: tuple[str, ...] = ()) -> Made:
    """The small recipe's plan with its artifacts, and in them the files that the page reads."""
    chosen, store = planned(*overrides), Store(str(folder))
    artifacts = make_artifacts(chosen, store, without)
    for stage in chosen.stages:
        if stage.identity not in artifacts:
            continue
        place = Path(store.folder(stage.identity))
        if stage.kind == "ingest":
            _write_images(place)
        if stage.name == "score":
            _write_score(place, [expert.label for expert in reversed(chosen.ladder)])
        if stage.kind == "train":
            history = [{"step": step, "validation_accuracy": 0.5 + step / 100} for step in (10, 20, 30)]
            (place / trained.HISTORY).write_text(json.dumps(history))
        if stage.kind == "search":
            results = artifacts[stage.identity].results | {"trials": trials(), "best": trials()[-1]}
            artifacts[stage.identity] = dataclasses.replace(artifacts[stage.identity], results=results)
    for final in chosen.finals:  # later methods are worse, and their differences not the same with every seed
        tested = artifacts.get(final.evaluate.identity)
        if tested:
            less = 0.001 * chosen.recipe.methods.index(final.method) * (1 + final.seed)
            results = tested.results | {"test_accuracy": tested.results["test_accuracy"] - less}
            artifacts[tested.identity] = dataclasses.replace(tested, results=results)
    return chosen, store, artifacts


def _write_images(place: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (448, 8, 8, 1), dtype=np.uint8)
    about = about_data(class_names=("cat & dog", "<b>bird</b>", "frog", "horse"), classes=CLASSES)
    labels, subset = np.arange(448) % CLASSES, np.zeros(448, np.uint8)
    dataset.write_arrays(place, about, labels, subset, pixels, None)


def _write_score(place: Path, experts: list[str]) -> None:
    """Image i is the i-th easiest; the smallest expert is right on the first half, the next on more, and so on."""
    number = np.arange(IMAGES)
    labels = number % CLASSES
    table = {"image": number, "label": labels, "held_out_loss": 0.01 * (number + 1.0), "severity": number / IMAGES}
    writer = ScoreWriter(place, ScoreAbout(tuple(experts), tuple(experts), 0, CLASSES), IMAGES)
    right = [number < IMAGES * (position + 2) / (len(experts) + 1) for position in range(len(experts))]
    logits = [np.eye(CLASSES)[np.where(its, labels, (labels + 1) % CLASSES)] for its in right]
    writer.put(number, np.stack(logits, axis=1), None, None)
    writer.finish(table)


def page(made: Made, states: dict[str, StageState] | None = None, **more: Any) -> str:
    """The page that ``report.write`` leaves."""
    chosen, store, artifacts = made
    report.write(chosen, store, artifacts, **{"reused": set(), "sizes": SIZES, "states": states} | more)
    return Path(store.path("reports", chosen.run_id, "report.html")).read_text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, str | None]] = []
        self.text: dict[str, list[str]] = {}
        self.figures: list[dict[str, Any]] = []
        self.images: list[dict[str, str | None]] = []
        self.json = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        of = dict(attributes)
        self.json = tag == "script" and of.get("type") == "application/json"
        if tag == "section":
            self.open.append((tag, of.get("id")))
        if tag == "img":
            self.images.append(of)

    def handle_endtag(self, tag: str) -> None:
        if tag == "section":
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.json:
            self.figures.append(json.loads(data))
            self.json = False
        elif self.open:
            self.text.setdefault(self.open[-1][1] or "", []).append(data)


def read(text: str) -> _Reader:
    """The page's figures, images, and words by part."""
    reader = _Reader()
    reader.feed(text.replace(get_plotlyjs(), ""))  # 5 MB that would take seconds to go through
    return reader


def words(text: str, part: str) -> str:
    """The text of a part of the page, with single spaces."""
    return " ".join("".join(read(text).text.get(part, [])).replace("\u00a0", " ").split())
