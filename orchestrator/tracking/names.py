"""The names of a training's curves, and what its point in the table of hyper-parameters is.

The same names go to TensorBoard and to a tracking server, for networks of the ladder, folds, trials and final students
alike. They are stable: a change would cut every curve of an older run off from that of a newer one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.pipeline.specs import TrainSpec, settings_of
from orchestrator.recipe.methods import REFERENCE
from orchestrator.recipe.search_space import SETTINGS
from orchestrator.training.telemetry import EXPERT

Value = str | int | float


@dataclass(frozen=True)
class Scalar:
    """A curve: its name, and what it means."""

    tag: str
    meaning: str


# By the name of the value in a row of the history, or of what is measured beside it.
SCALARS = {
    "training_loss": Scalar("loss/training", "mean loss of the images shown since the last validation, as trained on"),
    "validation_loss": Scalar("loss/validation", "mean cross-entropy on the validation images"),
    "training_accuracy": Scalar("accuracy/training", "share right of the images shown since the last validation"),
    "validation_accuracy": Scalar("accuracy/validation", "share right of the validation images, with these weights"),
    "kept_validation_accuracy": Scalar(
        "kept/validation_accuracy", "accuracy/validation of the weights that are kept if training ends here"
    ),
    "kept_validation_loss": Scalar("kept/validation_loss", "loss/validation of the same weights"),
    "learning_rate": Scalar("optimizer/learning_rate", "learning rate of the last step"),
    "active_fraction": Scalar("curriculum/active_fraction", "share of the training images that are in play"),
    "expert_limit": Scalar("curriculum/expert_limit", "how many experts are open, counted from the smallest"),
    "images_per_second": Scalar("speed/images_per_second", "images of all workers, without the time of validations"),
    "waiting_for_data": Scalar("speed/waiting_for_data", "share of that time in which the process waited for images"),
}
ACCURACY, LOSS = SCALARS["kept_validation_accuracy"], SCALARS["kept_validation_loss"]


def scalars(row: dict[str, Any]) -> dict[str, tuple[float, str]]:
    """The curves' values in a row, by name, each with what it means."""
    found = {SCALARS[name].tag: (float(value), SCALARS[name].meaning) for name, value in row.items() if name in SCALARS}
    for name, value in row.items():
        if name.startswith(EXPERT):
            meaning = f"share of the images since the last validation that {name.removeprefix(EXPERT)} taught"
            found[name] = (float(value), meaning)
    return found


@dataclass(frozen=True)
class Place:
    """What a training is in its run. ``kind``: ``expert``, ``fold``, ``student`` or ``trial``."""

    kind: str
    method: str | None = None


def place(name: str) -> Place:
    """The place of a training by its name: ``train/...``, ``fold/...``, ``student/<method>/...``, ``search/...``."""
    first, *rest = name.split("/")
    if first == "search":  # search/<trial>, or search/<method>/<trial>
        return Place("trial", rest[0] if len(rest) > 1 else REFERENCE)
    if first == "student":
        return Place("student", rest[0])
    return Place("fold" if first == "fold" else "expert")


def hyperparameters(name: str, spec: TrainSpec) -> dict[str, Value]:
    """What tells students and trials apart: a value of each column that has a meaning for this one.

    A plot of several columns leaves out whoever has no value in one of them. So where there is no pacing, its columns
    hold what is the same as none: a = 0, b = 1.
    """
    where = place(name)
    found: dict[str, Value] = {"kind": where.kind, "method": where.method or "none", "seed": spec.seed}
    found |= {"steps": spec.steps}
    found |= {setting.name: setting.absent for setting in SETTINGS.values() if setting.absent is not None}
    return found | settings_of(spec)
