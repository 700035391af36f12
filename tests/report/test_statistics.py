"""Statistics of a report: differences paired by seed, and the effect of the schedule."""

from __future__ import annotations

import math
from typing import Any

import pytest

from orchestrator.report.content.schema import StudentRow, Trial
from orchestrator.report.content.significance import is_clear
from orchestrator.report.content.statistics import (
    ExpertFacts,
    at_first_rung,
    baseline_leads,
    best_baseline,
    comparisons,
    expert_warnings,
    guessing_explains,
    paired,
    ranking,
    sensitivity,
)
from tests.report.examples import trials
from tests.report.test_markdown import row


def students(**accuracies: list[float | None]) -> list[StudentRow]:
    return [row(method, seed, value) for method, values in accuracies.items() for seed, value in enumerate(values)]


def test_differences_are_taken_seed_by_seed() -> None:
    # Both methods rise and fall together with the seed: apart they spread by 10 points, their difference by 1.
    found = paired(students(ces_kd=[0.62, 0.71, 0.83], kd=[0.60, 0.70, 0.80]), "ces_kd", "kd")
    assert found["difference"] == pytest.approx(0.02) and found["spread"] == pytest.approx(0.01)
    half = 4.302653 * 0.01 / math.sqrt(3)
    assert (found["low"], found["high"]) == (pytest.approx(0.02 - half), pytest.approx(0.02 + half))
    # t = 0.02 / (0.01 / sqrt(3)) = 3.4641 at 2 degrees: P(|T| <= t) = t / sqrt(2 + t^2) = 0.92582.
    assert found["p"] == pytest.approx(0.07418, abs=1e-5) and is_clear(found) is False


def test_a_steady_lead_is_clear_in_both_directions() -> None:
    rows = students(ces_kd=[0.62, 0.72, 0.821], kd=[0.60, 0.70, 0.80])
    lead, lag = paired(rows, "ces_kd", "kd"), paired(rows, "kd", "ces_kd")
    assert is_clear(lead) is is_clear(lag) is True
    assert lead["low"] is not None and lead["low"] > 0 and lead["p"] == lag["p"]


def test_the_power_of_a_comparison_is_that_of_its_pairs_and_their_spread() -> None:
    found = paired(students(ces_kd=[0.62, 0.71, 0.83], kd=[0.60, 0.70, 0.80]), "ces_kd", "kd")
    assert found["smallest_difference"] == pytest.approx(3.264 * 0.01, rel=1e-3)  # of 3 pairs (test_student_t.py)
    assert found["seeds_needed"] == 5  # for a difference of 2 standard deviations


def test_only_seeds_that_both_methods_have_are_compared() -> None:
    found = paired(students(ces_kd=[0.7, None, 0.8], kd=[0.6, 0.9, 0.6]), "ces_kd", "kd")
    assert found["pairs"] == 2 and found["difference"] == pytest.approx(0.15)


def test_one_seed_gives_a_difference_without_an_interval() -> None:
    found = paired(students(ces_kd=[0.7], kd=[0.6]), "ces_kd", "kd")
    assert found["difference"] == pytest.approx(0.1) and found["low"] is None and is_clear(found) is None


def test_differences_that_are_all_the_same_give_no_interval() -> None:
    found = paired(students(ces_kd=[0.7, 0.8], kd=[0.6, 0.7]), "ces_kd", "kd")  # of few test images, by chance
    assert found["spread"] == pytest.approx(0) and found["low"] is None and is_clear(found) is None
    assert found["p"] is found["smallest_difference"] is found["seeds_needed"] is None


def test_every_method_is_compared_with_ces_kd_and_without_it_with_the_best() -> None:
    rows = comparisons(students(labels=[0.5, 0.5], ces_kd=[0.6, 0.6], kd=[0.7, 0.7]))
    assert [(row["reference"], row["method"]) for row in rows] == [("ces_kd", "labels"), ("ces_kd", "kd")]
    rows = comparisons(students(labels=[0.5, 0.5], kd=[0.7, 0.7]))
    assert [(row["reference"], row["method"]) for row in rows] == [("kd", "labels")]
    assert comparisons(students(labels=[None])) == []


def test_the_primary_comparison_is_with_the_baseline_of_the_best_validation_accuracy() -> None:
    rows = students(labels=[0.9, 0.9], kd=[0.6, 0.7], takd=[0.5, 0.6], ces_random=[0.9, 0.9], ces_kd=[0.7, 0.6])
    validation = {"labels": 0.4, "kd": 0.5, "takd": 0.6, "ces_random": 0.9, "ces_kd": 0.7}
    for student in rows:  # validation says otherwise than test: of the baselines takd is the best
        student["validation_accuracy"] = validation[student["method"]]
    assert best_baseline(rows) == "takd"
    found = comparisons(rows)
    assert [row["method"] for row in found if row["primary"]] == ["takd"]
    assert best_baseline(students(ces_kd=[0.6], ces_random=[0.6])) is None


def coinciding(methods: list[str], *same: str) -> list[StudentRow]:
    """Two students of each method; those of the methods ``same`` are the very same."""
    accuracies: dict[str, list[float | None]] = {name: [0.6, 0.7] if name in same else [0.5, 0.62] for name in methods}
    rows = students(**accuracies)
    for student in rows:
        if student["method"] in same:
            student["artifact"] = f"train-{student['seed']}"
    return rows


@pytest.mark.parametrize(
    ("methods", "same", "compared"),
    [
        (["labels", "kd", "kd:plain_cnn_8", "ces_kd"], ["kd", "kd:plain_cnn_8"], ["labels", "kd*"]),
        (["labels", "ces_teacher", "kd", "ces_kd"], ["ces_teacher", "kd"], ["labels", "kd*"]),  # not as a control's
        (["labels", "ces_kd", "kd", "takd"], ["ces_kd", "kd", "takd"], ["labels", "kd*"]),  # less itself: 0
        (["labels", "kd", "ces_kd", "ces_random"], ["ces_kd", "ces_random"], ["labels*", "kd"]),
    ],
    ids=["baselines", "a control before its baseline", "the reference and baselines", "the reference and its control"],
)
def test_methods_with_the_very_same_students_are_compared_once_and_the_primary_comparison_is_kept(
    methods: list[str], same: list[str], compared: list[str]
) -> None:
    found = comparisons(coinciding(methods, *same))
    assert [row["method"] + "*" * row["primary"] for row in found] == compared


def test_without_the_reference_no_comparison_is_primary_and_all_are_corrected() -> None:
    found = comparisons(students(labels=[0.5, 0.52, 0.51], kd=[0.7, 0.71, 0.73], takd=[0.6, 0.66, 0.6]))
    assert [row["primary"] for row in found] == [False, False]
    assert all((row["p_corrected"] or 0) > (row["p"] or 0) for row in found if row["method"] == "labels")


def test_all_comparisons_but_the_primary_one_are_corrected_together() -> None:
    rows = students(
        ces_kd=[0.70, 0.71, 0.75], kd=[0.69, 0.705, 0.735], labels=[0.60, 0.64, 0.66], takd=[0.65, 0.68, 0.71]
    )
    found = {row["method"]: row for row in comparisons(rows)}
    alone = {method: paired(rows, "ces_kd", method)["p"] or 0.0 for method in found}
    assert found["kd"]["primary"] and found["kd"]["p_corrected"] == found["kd"]["p"] == alone["kd"]
    smaller, larger = sorted(("labels", "takd"), key=lambda method: alone[method])
    assert found[smaller]["p_corrected"] == pytest.approx(2 * alone[smaller])
    assert found[larger]["p_corrected"] == pytest.approx(max(2 * alone[smaller], alone[larger]))


@pytest.mark.parametrize(
    ("accuracies", "leads"),
    [
        ({"labels": [0.8, 0.9], "kd": [0.8, 0.7], "ces_kd": [0.85, 0.85]}, True),  # a tie is no lead of the taught
        ({"labels": [0.8, 0.9], "kd": [0.8, 0.7], "ces_kd": [0.85, 0.87]}, False),
        ({"labels": [0.8, 0.9]}, False),
        ({"kd": [0.8, 0.9], "ces_kd": [0.7, 0.7]}, False),
        ({"labels": [None], "kd": [0.5]}, False),
    ],
)
def test_the_baseline_leads_where_no_taught_method_is_above_it(accuracies: dict[str, Any], leads: bool) -> None:
    assert baseline_leads(students(**accuracies)) is leads


def test_methods_are_ranked_by_their_mean_and_those_without_any_student_left_out() -> None:
    rows = ranking(students(labels=[0.5, 0.7], ces_kd=[0.65, 0.65], kd=[None, None]))
    assert [row["method"] for row in rows] == ["ces_kd", "labels"]


def test_trials_are_compared_at_the_steps_that_all_of_them_have_reached() -> None:
    stopped: Trial = {**trials(1)[0], "id": 9, "status": "stopped", "steps": 10, "rungs": [(10, 0.9)]}
    failed: Trial = {"id": 10, "config": {}, "status": "failed", "steps": 0, "validation_accuracy": None}
    steps, found = at_first_rung([*trials(2), stopped, failed])
    assert steps == 10 and [value for _, value in found] == pytest.approx([0.5, 0.52, 0.9])


def test_sensitivity_sets_the_trials_range_and_quartiles_beside_the_spread_over_seeds() -> None:
    found = sensitivity(trials(5), students(ces_kd=[0.70, 0.74, 0.78]))
    assert found is not None
    quartiles = (found["first_quartile"], found["median"], found["third_quartile"])
    assert (found["low"], *quartiles, found["high"]) == pytest.approx((0.5, 0.52, 0.54, 0.56, 0.58))
    assert found["seed_spread"] == pytest.approx(0.04) and (found["trials"], found["steps"]) == (5, 10)
    assert sensitivity([], []) is None


@pytest.mark.parametrize(
    ("accuracy", "images", "classes", "explained"),
    [
        (0.25, 32, 4, True),
        (0.0, 32, 4, True),  # another order of the classes can do worse than guessing
        (14 / 32, 32, 4, True),  # 1.6 % of those who guess are as good
        (16 / 32, 32, 4, False),
        (0.28, 5000, 4, False),  # little, but no luck
        (0.11, 500, 10, True),
        (0.15, 500, 10, False),
        (0.001, 50_000, 1000, True),
        (0.002, 50_000, 1000, False),
        (1.0, 1, 2, True),  # one image says nothing
        (1.0, 10, 2, False),
        (0.0, 0, 2, True),
    ],
)
def test_an_accuracy_is_held_against_guessing_by_the_number_of_images(
    accuracy: float, images: int, classes: int, explained: bool
) -> None:
    assert guessing_explains(accuracy, images, classes) is explained


def expert(name: str, accuracy: float | None, brought: bool = False) -> ExpertFacts:
    return ExpertFacts(name, accuracy, brought)


def test_an_expert_that_guesses_is_named_with_what_to_look_at() -> None:
    brought, trained = expert_warnings([expert("a", 0.1, brought=True), expert("b", 0.11)], None, 500, 10)
    assert (
        brought.startswith("expert a is right on 10.00 % of 500 validation images") and "guessing (10.00 %)" in brought
    )
    assert all(part in brought for part in ("order of its classes", "normalisation", "trained weights"))
    assert "expert b" in trained and "learning rate" in trained


def test_an_expert_below_the_student_on_labels_is_named_once_that_is_known() -> None:
    ladder = [expert("a", 0.9), expert("b", 0.7), expert("c", None)]
    assert expert_warnings(ladder, None, 500, 10) == []
    (said,) = expert_warnings(ladder, 0.75, 500, 10)
    assert "expert b is right on 70.00 %" in said and "the student on labels (75.00 %)" in said
