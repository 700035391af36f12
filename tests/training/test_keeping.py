"""The weights that a training keeps, and those that stand beside them for a comparison."""

from __future__ import annotations

from functools import cache

import pytest

from orchestrator.training.loop import Trained
from tests.training.examples import assert_same_weights, learn, optimizer, training

RATE = 0.6  # so high that the best validation is not the last


@cache
def trained(keep: str, both: bool) -> Trained:
    return learn(training(keep=keep, both_weights=both, optimizer=optimizer(learning_rate=RATE)))


@pytest.mark.parametrize("keep", ["best", "last"])
def test_what_is_kept_does_not_depend_on_whether_the_others_are_stored_too(keep: str) -> None:
    alone, both = trained(keep, False), trained(keep, True)
    assert_same_weights(both.weights, alone.weights)
    assert (both.kept_step, both.validation_accuracy) == (alone.kept_step, alone.validation_accuracy)
    assert alone.other is None


@pytest.mark.parametrize(("keep", "other"), [("best", "last"), ("last", "best")])
def test_the_others_are_those_that_the_other_choice_keeps(keep: str, other: str) -> None:
    found, wanted = trained(keep, True).other, trained(other, False)
    assert found is not None
    assert_same_weights(found.tensors, wanted.weights)
    assert found.row["step"] == wanted.kept_step != trained(keep, True).kept_step
    assert found.row["validation_accuracy"] == wanted.validation_accuracy


def test_where_both_are_of_one_step_there_are_no_others() -> None:
    whole = learn(training(keep="best", both_weights=True, evaluate_every=14))  # one validation, at the end
    assert whole.other is None and whole.kept_step == 14


def test_the_field_is_left_out_of_the_plain_form_where_it_is_not_set() -> None:
    assert "both_weights" not in training().model_dump(mode="json")
    assert training(both_weights=True).model_dump(mode="json")["both_weights"] is True
