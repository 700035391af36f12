"""Names of a training's curves, and its row in the table of hyper-parameters.

The same names go to TensorBoard and to a tracking server, for networks of the ladder, folds, trials and final students
alike. They are stable: a change would cut every curve of an older run off from that of a newer one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.pipeline.placement import Facts
from orchestrator.pipeline.specs import TrainSpec, settings_of
from orchestrator.recipe.search_space import SETTINGS, in_columns
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


def scalars(row: Mapping[str, float]) -> dict[str, tuple[float, str]]:
    """The curves' values in a row, by name, each with what it means."""
    found = {SCALARS[name].tag: (float(value), SCALARS[name].meaning) for name, value in row.items() if name in SCALARS}
    for name, value in row.items():
        if name.startswith(EXPERT):
            meaning = f"share of the images since the last validation that {name.removeprefix(EXPERT)} taught"
            found[name] = (float(value), meaning)
    return found


def hyperparameters(facts: Facts, spec: TrainSpec) -> dict[str, Value]:
    """Returns a training's values of the columns that apply to it.

    A plot of several columns leaves out trainings without a value in one of them. So without pacing its columns hold
    the values that amount to none: a = 0, b = 1.
    """
    found: dict[str, Value] = {"kind": facts.part or "none", "method": facts.method or "none", "seed": spec.seed}
    found |= {"steps": spec.steps}
    found |= {setting.name: setting.absent for setting in SETTINGS.values() if setting.absent is not None}
    return found | in_columns(settings_of(spec))
