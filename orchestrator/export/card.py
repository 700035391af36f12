"""The model card: Markdown with the YAML front matter that model hubs read (``README.md`` beside the files).

Accuracies, settings and identities come from the run's report and artifacts; sizes, agreement, latency and the cost of
int8 from this export. The text is in ``templates/card.md.jinja``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.export.latency import processor
from orchestrator.export.options import FILES, INT8_FILE
from orchestrator.export.results import Exported, File
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe.methods import method_of
from orchestrator.report.content.statistics import deviation, mean
from orchestrator.report.templates import fill

MANY_NAMES = 20  # class names that are listed in the text


def model_card(exported: Exported) -> str:
    """The whole text."""
    run, chosen = exported.run, exported.chosen
    artifact, recipe = chosen.artifact, run.report["recipe"]
    students = [row for row in run.report["methods"] if row["method"] == chosen.method]
    students = [row for row in students if row["validation_accuracy"] is not None]
    return fill(
        "orchestrator.export", "card.md.jinja", exported=exported, run=run, chosen=chosen, artifact=artifact,
        title=title(exported), front_matter=front_matter(exported), about=run.about_data, dataset=recipe["dataset"],
        shape=chosen.network, size_row=run.report["networks"][-1] if chosen.method else chosen.row,
        taught_by=method_of(chosen.method).taught_by if chosen.method else "", teacher=run.teacher,
        many_names=MANY_NAMES, students=students, mean=mean, deviation=deviation,
        choices=_chosen_by_validation(exported), searched=artifact.spec.get("searched"),
        processor=processor(), results=artifact.results,
        spec=TrainSpec.from_plain(artifact.spec) if artifact.kind == "train" else None,
        taught=artifact.results.get("taught_with"), weights_sha256=artifact.files[WEIGHTS]["sha256"],
        int8=_int8(exported),
    )  # fmt: skip


def title(exported: Exported) -> str:
    """The network's name on its card."""
    chosen, data = exported.chosen, exported.run.report["recipe"]["dataset"]["name"]
    if chosen.method is None:
        return f"{chosen.name}, {chosen.role} on {data}"
    return f"{chosen.name} by {chosen.method} on {data}, seed {chosen.seed}"


def front_matter(exported: Exported) -> str:
    """The YAML between the card's two lines of ``---``, below the license."""
    chosen, data = exported.chosen, exported.run.report["recipe"]["dataset"]["name"]
    words = ["image-classification", "knowledge-distillation", chosen.network.name, chosen.method or "expert"]
    words += [form for form in ("safetensors", "onnx") if any(file.form == form for file in exported.files)]
    words += ["int8"] if exported.quantised else []
    about = {
        "pipeline_tag": "image-classification",
        "tags": [re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words],
        "datasets": [data],
        "metrics": ["accuracy"],
    }
    accuracy = chosen.row["test_accuracy"]
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"name": data, "type": data, "split": "test"},
        "metrics": [{"type": "accuracy", "name": "test accuracy", "value": accuracy}],
    }
    index = [{"name": title(exported), "results": [result]}]
    return yaml.safe_dump(about | ({} if accuracy is None else {"model-index": index}), sort_keys=False, width=1000)


class Int8(NamedTuple):
    """The files before and after quantisation, and the ratio of their latencies: after / before."""

    before: File
    after: File
    ratio: float


def _int8(exported: Exported) -> Int8 | None:
    if exported.quantised is None:
        return None
    files = {file.name: file for file in exported.files}
    before, after = files[FILES["onnx"]], files[INT8_FILE]
    return Int8(before, after, exported.timing.ratio(after.name, before.name))


def _chosen_by_validation(exported: Exported) -> list[str]:
    """Choices that were made by validation accuracy."""
    spec = exported.chosen.artifact.spec
    choices = {
        "the weights": spec.get("keep") == "best",
        "the search's settings": spec.get("searched"),
        "this network among others": "best" in exported.chosen.why,
    }
    return [choice for choice, made in choices.items() if made]
