"""The precision that ``training.precision: auto`` stands for, measured once for a storage and stored there.

The choice is measured (``training/precision.py``), so it can differ from one machine to another. It is stored apart for
CPUs and GPUs, and every later run in the storage takes it over: all stages of a run, a run that goes on elsewhere, and
runs that share an expert have the same precision. Stages are planned with ``fp32`` or ``bf16``, never with ``auto``.
Imports neither torch nor ray.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from orchestrator.artifacts.store import StorageError, Store
from orchestrator.recipe.choices import Precision, Spec
from orchestrator.recipe.schema import Recipe

FILE = "precision.json"


class PrecisionChoice(Spec):
    """A precision with the measurement that chose it: median milliseconds of a training step of the student."""

    precision: Precision
    machine: str
    network: str
    batch_size: int
    fp32_milliseconds: float
    bf16_milliseconds: float

    def __str__(self) -> str:
        return (
            f"{self.precision} (measured on {self.machine}: a step of {self.network} on {self.batch_size} images takes "
            f"{self.fp32_milliseconds:.3g} ms in fp32, {self.bf16_milliseconds:.3g} ms in bf16)"
        )


def is_open(recipe: Recipe, choice: PrecisionChoice | None) -> bool:
    """Returns whether the recipe leaves the precision to a measurement that has not been made yet."""
    return recipe.training.precision == "auto" and choice is None


def resolved(recipe: Recipe, choice: PrecisionChoice | None) -> tuple[Recipe, Precision]:
    """Returns the recipe with a precision in place of ``auto``, and the precision; fp32 while it is open."""
    asked = recipe.training.precision
    if asked != "auto":
        return recipe, asked
    precision: Precision = choice.precision if choice else "fp32"
    training = recipe.training.model_copy(update={"precision": precision})
    return recipe.model_copy(update={"training": training}), precision


def stored(store: Store, recipe: Recipe) -> PrecisionChoice | None:
    """Returns the storage's choice for the kind of device that the recipe's students train on, if it has been made.

    Raises:
        StorageError: when the file that holds it can't be understood.
    """
    if recipe.training.precision != "auto":
        return None
    found = _read(store).get(_device(recipe))
    try:
        return PrecisionChoice.from_plain(found) if found is not None else None
    except ValidationError as error:
        raise StorageError(_damaged(store)) from error


def keep(store: Store, recipe: Recipe, choice: PrecisionChoice) -> None:
    """Store the choice for later runs."""
    every = _read(store) | {_device(recipe): choice.model_dump(mode="json")}
    store.write_text(json.dumps(every, indent=1), FILE)


def _device(recipe: Recipe) -> str:
    return "gpu" if recipe.resources.student_gpus else "cpu"


def _read(store: Store) -> dict[str, Any]:
    text = store.read_text(FILE)
    try:
        found = json.loads(text) if text else {}
    except ValueError as error:
        raise StorageError(_damaged(store)) from error
    if not isinstance(found, dict):
        raise StorageError(_damaged(store))
    return found


def _damaged(store: Store) -> str:
    return (
        f"{store.path(FILE)} can't be understood; it says which precision `training.precision: auto` was measured to "
        "be. Remove it to measure again, or set training.precision"
    )
