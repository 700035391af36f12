"""The model card: Markdown with the YAML front matter that model hubs read (``README.md`` beside the files).

Accuracies, settings and identities come from the run's report and artifacts; sizes, agreement, latency and the cost of
int8 from this export.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from orchestrator.export import card_parts as parts
from orchestrator.export.results import Exported

LICENSE = "license: unknown  # fill this in before you publish: nobody has chosen a license for these weights yet"


def model_card(exported: Exported) -> str:
    """The whole text."""
    sections = [
        parts.introduction(exported),
        parts.files(exported),
        parts.how_to_use(exported),
        parts.accuracy(exported),
        parts.int8(exported),
        parts.speed_and_size(exported),
        parts.teaching(exported),
        parts.data(exported),
        parts.limits(exported),
        parts.again(exported),
        "## License\n\nNot chosen yet: fill in `license` in the first lines of this file. The images that the network "
        "learned from may have terms of their own.",
    ]
    return front_matter(exported) + "\n" + "\n\n".join(section for section in sections if section) + "\n"


def front_matter(exported: Exported) -> str:
    """The YAML between two lines of ``---``."""
    chosen, recipe = exported.chosen, exported.run.report["recipe"]
    data = recipe["dataset"]["name"]
    words = ["image-classification", "knowledge-distillation", chosen.network.name]
    words += [chosen.method] if chosen.method else ["expert"]
    words += [form for form in ("safetensors", "onnx") if any(file.form == form for file in exported.files)]
    words += ["int8"] if exported.quantised else []
    about: dict[str, Any] = {
        "pipeline_tag": "image-classification",
        "tags": [re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words],
        "datasets": [data],
        "metrics": ["accuracy"],
    }
    accuracy = chosen.row["test_accuracy"]
    if accuracy is not None:
        metric = {"type": "accuracy", "name": "test accuracy", "value": accuracy}
        result = {
            "task": {"type": "image-classification"},
            "dataset": {"name": data, "type": data, "split": "test"},
            "metrics": [metric],
        }
        about["model-index"] = [{"name": parts.title(exported), "results": [result]}]
    return f"---\n{LICENSE}\n{yaml.safe_dump(about, sort_keys=False, width=1000)}---\n"
