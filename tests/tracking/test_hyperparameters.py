"""A training's row in the table of hyper-parameters."""

from __future__ import annotations

import pytest

from orchestrator.pipeline.placement import Facts
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.tracking.hparams import COLUMNS, SHOWN
from orchestrator.tracking.names import hyperparameters
from tests.training.examples import pacing, teaching, training

SPECS = [
    training(),
    training(guidance=teaching("single", temperature=3.0)),
    training(guidance=teaching("dense")),
    *(training(guidance=teaching("selected"), curriculum=pacing(mode)) for mode in ("static", "reveal", "both")),
    training(guidance=teaching("selected"), curriculum=pacing("promote", "fixed_exponential")),
]


STUDENT, TRIAL = Facts(part="student", method="kd", seed=0), Facts(part="trial", method="ces_kd")


@pytest.mark.parametrize(
    ("facts", "kind", "method"),
    [
        (Facts(part="expert", expert="plain_cnn_4@dense"), "expert", "none"),
        (Facts(part="fold"), "fold", "none"),
        (Facts(part="student", method="takd", seed=2), "student", "takd"),
        (TRIAL, "trial", "ces_kd"),
    ],
)
def test_a_row_tells_the_part_of_the_network_and_the_method(facts: Facts, kind: str, method: str) -> None:
    found = hyperparameters(facts, training())
    assert (found["kind"], found["method"]) == (kind, method)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.guidance.kind)
def test_every_training_has_a_value_in_the_columns_that_are_shown_at_first(spec: TrainSpec) -> None:
    found = hyperparameters(STUDENT, spec)
    assert set(SHOWN) <= set(found) <= set(COLUMNS)
    for name, value in found.items():
        assert isinstance(value, (int, float)) == COLUMNS[name][1], name


def test_without_pacing_its_columns_hold_what_is_the_same_as_none() -> None:
    static = hyperparameters(TRIAL, training(guidance=teaching("selected"), curriculum=pacing("static")))
    assert (static["mode"], static["family"], static["a"], static["b"]) == ("static", "none", 0.0, 1.0)


def test_labels_are_a_weight_of_distillation_of_zero_and_no_temperature() -> None:
    found = hyperparameters(STUDENT, training())
    assert found["kd_weight"] == 0.0 and "temperature" not in found


def test_what_only_one_family_has_is_a_value_of_that_family_alone() -> None:
    with_it = [spec.curriculum is not None and spec.curriculum.pacing.family == "fixed_exponential" for spec in SPECS]
    assert ["increase" in hyperparameters(TRIAL, spec) for spec in SPECS] == with_it
