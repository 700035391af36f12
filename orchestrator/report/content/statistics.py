"""Statistics over a run's students and trials: differences against the spread over seeds, effect of the schedule.

Pure functions over parts of ``report.json``. Accuracies are shares in [0, 1].
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from typing_extensions import TypedDict

from orchestrator.recipe.methods import BASELINE, REFERENCE, method_of
from orchestrator.report.content.schema import Comparison, Search, Sensitivity, StudentRow, Trial
from orchestrator.report.content.significance import is_baseline, with_corrections
from orchestrator.report.content.student_t import p_value, pairs_needed, smallest_effect, t_quantile
from orchestrator.report.words import hundredths

GUESSING = 0.01  # probability of an expert's accuracy by guessing, above which the expert counts as guessing
SAME = 1e-9  # differences of accuracies that spread less than this are one number


class MethodRow(TypedDict):
    """A method's results: mean and sample standard deviation over seeds, and each seed's value.

    ``other_mean`` is the mean of the test accuracies of the weights that were not kept, ``calibration_error`` that of
    the kept ones' calibration errors.
    """

    method: str
    test_mean: float | None
    test_spread: float | None
    test: list[float | None]
    other_mean: float | None
    calibration_error: float | None
    validation_mean: float | None
    seeds: list[int]


class ExpertFacts(NamedTuple):
    """An expert's name, its validation accuracy, whether its weights were brought, and whether it is a snapshot."""

    name: str
    validation_accuracy: float | None
    brought: bool
    snapshot: bool = False


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def deviation(values: Iterable[float | None]) -> float | None:
    """The sample standard deviation of those that are known; None below two."""
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def method_rows(students: Sequence[StudentRow]) -> list[MethodRow]:
    """One row a method, in recipe order: mean, sample standard deviation and values of the test accuracy over seeds.

    A seed whose student is missing counts in neither, and has None for its value.
    """
    by_method: dict[str, list[StudentRow]] = {}
    for row in students:
        by_method.setdefault(row["method"], []).append(row)
    return [
        {
            "method": method,
            "test_mean": mean(row["test_accuracy"] for row in rows),
            "test_spread": deviation(row["test_accuracy"] for row in rows),
            "test": [row["test_accuracy"] for row in rows],
            "other_mean": mean(row["other_test_accuracy"] for row in rows),
            "calibration_error": mean(row["calibration_error"] for row in rows),
            "validation_mean": mean(row["validation_accuracy"] for row in rows),
            "seeds": [row["seed"] for row in rows],
        }
        for method, rows in by_method.items()
    ]


def budget(searches: Mapping[str, Search], method: str) -> list[Trial]:
    """The trials whose outcome chose a method's settings."""
    chosen_by = method_of(method).searched_as
    return searches[chosen_by]["trials"] if chosen_by in searches else []


def ranking(methods: Sequence[StudentRow]) -> list[MethodRow]:
    """The rows of ``method_rows`` that have a test accuracy, best mean first."""
    known = [row for row in method_rows(methods) if row["test_mean"] is not None]
    return sorted(known, key=lambda row: -(row["test_mean"] or 0.0))


def paired(methods: Sequence[StudentRow], reference: str, other: str) -> Comparison:
    """Test accuracy of ``reference`` minus that of ``other``, paired by seed.

    Students of one seed begin with the same weights and see the same batches, so much of a seed's luck is common to
    both and falls out of the difference. Interval and p-value are Student's, for the mean of the pairs' differences,
    and so is the power: the smallest difference that so many pairs of this spread show, and the pairs that this
    difference takes to show. There are none below two pairs, nor where all differences are the same: on few test
    images that comes by chance, and a spread of nothing is not to be believed. The comparison stands alone: nothing is
    corrected.
    """
    test = {(row["method"], row["seed"]): row["test_accuracy"] for row in methods}
    seeds = list(dict.fromkeys(row["seed"] for row in methods))
    pairs = [(test.get((reference, seed)), test.get((other, seed))) for seed in seeds]
    each = [mine - its for mine, its in pairs if mine is not None and its is not None]
    difference, spread = mean(each), deviation(each)
    low = high = p = smallest = needed = None
    if difference is not None and spread is not None and spread > SAME:
        error = spread / math.sqrt(len(each))
        half = t_quantile(len(each) - 1) * error
        low, high, p = difference - half, difference + half, p_value(difference / error, len(each) - 1)
        smallest, needed = smallest_effect(len(each)) * spread, pairs_needed(difference / spread)
    return {
        "method": other, "reference": reference, "pairs": len(each), "difference": difference, "spread": spread,
        "low": low, "high": high, "p": p, "p_corrected": p, "primary": False, "smallest_difference": smallest,
        "seeds_needed": needed,
    }  # fmt: skip


def comparisons(methods: Sequence[StudentRow]) -> list[Comparison]:
    """``paired`` for every other method with ``REFERENCE``; without it, with the method of the highest mean.

    The primary comparison is that of ``REFERENCE`` with the best baseline, by validation accuracy. Methods with the
    very same students are one comparison, which counts once in the correction: that baseline's, or else the first
    one's. With a method that has the reference's own students there is none, unless it is the primary comparison.
    """
    names = list(dict.fromkeys(row["method"] for row in methods))
    ranked = ranking(methods)
    if REFERENCE not in names and not ranked:
        return []
    reference = REFERENCE if REFERENCE in names else ranked[0]["method"]
    rival = best_baseline(methods) if reference == REFERENCE else None
    students = {name: tuple(row["artifact"] for row in methods if row["method"] == name) for name in names}
    compared = {students[name]: name for name in reversed(names)} | {students[reference]: reference}
    if rival:
        compared[students[rival]] = rival
    others = [name for name in names if name != reference and compared[students[name]] == name]
    return with_corrections([paired(methods, reference, name) for name in others], rival)


def best_baseline(methods: Sequence[StudentRow]) -> str | None:
    """The baseline of the highest mean validation accuracy, which test images have no part in; None without any."""
    means = {
        row["method"]: row["validation_mean"]
        for row in method_rows(methods)
        if is_baseline(row["method"]) and row["validation_mean"] is not None
    }
    return max(means, key=lambda name: means[name] or 0.0, default=None)


def baseline_leads(methods: Sequence[StudentRow]) -> bool:
    """Whether no taught method has a higher mean test accuracy than the students on labels alone.

    False where there are no such students, or no others.
    """
    means = {row["method"]: row["test_mean"] or 0.0 for row in ranking(methods)}
    baseline = means.pop(BASELINE, None)
    return baseline is not None and bool(means) and max(means.values()) <= baseline


def guessing_explains(accuracy: float, images: int, classes: int) -> bool:
    """Whether guessing among the classes would be right on as many images with a probability above ``GUESSING``.

    By the upper tail of the binomial distribution of ``images`` draws at 1 / ``classes``.
    """
    right, share = round(accuracy * images), 1 / classes
    tail = 0.0
    for count in range(right, images + 1):
        log = math.lgamma(images + 1) - math.lgamma(count + 1) - math.lgamma(images - count + 1)
        term = math.exp(log + count * math.log(share) + (images - count) * math.log1p(-share))
        tail += term
        if tail > GUESSING or (count > images * share and term < SAME * GUESSING):
            break
    return tail > GUESSING


def expert_warnings(experts: Sequence[ExpertFacts], student: float | None, images: int, classes: int) -> list[str]:
    """Defects of experts, a sentence each: no better than guessing, or below the student on labels.

    Args:
        student: mean validation accuracy of the students taught by labels, where it is known.
        images: the validation images.
    """
    said = []
    for expert in experts:
        accuracy = expert.validation_accuracy
        if accuracy is None:
            continue
        shown = f"expert {expert.name} is right on {hundredths(accuracy)} % of {images:,} validation images"
        if guessing_explains(accuracy, images, classes):
            look = (
                "compare the order of its classes with the data's, and the normalisation and image size that it was "
                "trained with with this run's, and see whether the file holds trained weights"
                if expert.brought
                else "look at its steps, its learning rate and the labels"
            )
            said.append(f"{shown}, which is no better than guessing ({hundredths(1 / classes)} %): {look}")
        elif student is not None and accuracy < student:
            do = "take it later in its training" if expert.snapshot else "train it longer"
            said.append(
                f"{shown}, fewer than the student on labels ({hundredths(student)} %): it has little to teach; "
                f"{do} or leave it out of the ladder"
            )
    return said


def at_first_rung(trials: Sequence[Trial]) -> tuple[int | None, list[tuple[Trial, float]]]:
    """The steps after which every trial can be compared, and each good trial's validation accuracy there.

    With early stopping trials end after different numbers of steps, but each has been through the shortest.
    """
    found = [
        (trial, trial.get("rungs") or [(trial["steps"], trial["validation_accuracy"])])
        for trial in trials
        if trial["status"] != "failed" and trial["validation_accuracy"] is not None
    ]
    steps = min((rung[0] for _, rungs in found for rung in rungs), default=None)
    return steps, [(trial, rungs[0][1]) for trial, rungs in found]


def sensitivity(trials: Sequence[Trial], finals: Sequence[StudentRow]) -> Sensitivity | None:
    """The spread of validation accuracy over a search's trials, beside that over final students' seeds.

    None before any trial has ended.
    """
    steps, found = at_first_rung(trials)
    values = [value for _, value in found]
    if not values:
        return None
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {
        "trials": len(values), "steps": steps, "low": min(values), "first_quartile": low, "median": median,
        "third_quartile": high, "high": max(values),
        "seed_spread": deviation(row["validation_accuracy"] for row in finals),
    }  # fmt: skip
