"""What the numbers of a run say: differences against the spread over seeds, and what the schedule was worth.

Pure functions over parts of ``report.json``. Accuracies are shares in [0, 1].
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from orchestrator.recipe.methods import BASELINE, REFERENCE
from orchestrator.report.markdown import method_rows, percent

LEVEL = 0.95
GUESSING = 0.01  # an expert that guessing does as well as with a greater probability than this knows nothing
SAME = 1e-9  # differences of accuracies that spread less than this are one number

# Two-sided 95 % quantiles of Student's t distribution for 1 to 10 degrees of freedom.
_QUANTILES = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)


def t_quantile(freedom: int) -> float:
    """The two-sided 95 % quantile of Student's t distribution, within 0.0005.

    From a table up to 10 degrees of freedom, above by Abramowitz and Stegun's expansion 26.7.5.
    """
    if freedom <= len(_QUANTILES):
        return _QUANTILES[freedom - 1]
    z = statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)
    terms = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def ranking(methods: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of ``method_rows`` that have a test accuracy, best mean first."""
    return sorted(
        (row for row in method_rows(methods) if row["test_mean"] is not None), key=lambda row: -row["test_mean"]
    )


def paired(methods: Sequence[dict[str, Any]], reference: str, other: str) -> dict[str, Any]:
    """Test accuracy of ``reference`` minus that of ``other``, paired by seed.

    Students of one seed begin with the same weights and see the same batches, so much of a seed's luck is common to
    both and falls out of the difference. The interval is Student's, for the mean of the pairs' differences. There is
    none below two pairs, nor where all differences are the same: on few test images that comes by chance, and a spread
    of nothing is not to be believed.
    """
    test = {(row["method"], row["seed"]): row["test_accuracy"] for row in methods}
    seeds = list(dict.fromkeys(row["seed"] for row in methods))
    each = [
        test[reference, seed] - test[other, seed]
        for seed in seeds
        if test.get((reference, seed)) is not None and test.get((other, seed)) is not None
    ]
    found: dict[str, Any] = {
        "method": other, "reference": reference, "pairs": len(each),
        "difference": statistics.fmean(each) if each else None,
        "spread": None, "low": None, "high": None,
    }  # fmt: skip
    if len(each) > 1:
        spread = statistics.stdev(each)
        found["spread"] = spread
        if spread > SAME:
            half = t_quantile(len(each) - 1) * spread / math.sqrt(len(each))
            found |= {"low": found["difference"] - half, "high": found["difference"] + half}
    return found


def comparisons(methods: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """``paired`` for every other method with ces_kd; without ces_kd, with the method of the highest mean."""
    names = list(dict.fromkeys(row["method"] for row in methods))
    ranked = ranking(methods)
    if REFERENCE not in names and not ranked:
        return []
    reference = REFERENCE if REFERENCE in names else ranked[0]["method"]
    return [paired(methods, reference, name) for name in names if name != reference]


def baseline_leads(methods: Sequence[dict[str, Any]]) -> bool:
    """Whether no taught method has a higher mean test accuracy than the students that nobody taught.

    False where there are no such students, or no others.
    """
    means = {row["method"]: row["test_mean"] for row in ranking(methods)}
    baseline = means.pop(BASELINE, None)
    return baseline is not None and bool(means) and max(means.values()) <= baseline


def excludes_zero(comparison: dict[str, Any]) -> bool | None:
    """Whether the interval leaves zero out; None where there is no interval."""
    if comparison["low"] is None:
        return None
    return bool(comparison["low"] > 0 or comparison["high"] < 0)


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


def expert_warnings(experts: Sequence[dict[str, Any]], student: float | None, images: int, classes: int) -> list[str]:
    """What is wrong with experts, a sentence each: no better than guessing, or below the student on labels.

    Args:
        experts: ``name``, ``validation_accuracy`` and ``brought``, whether its weights were brought.
        student: mean validation accuracy of the students taught by labels, where it is known.
        images: the validation images.
    """
    said = []
    for expert in experts:
        accuracy = expert["validation_accuracy"]
        if accuracy is None:
            continue
        shown = f"expert {expert['name']} is right on {percent(accuracy)} % of {images:,} validation images"
        if guessing_explains(accuracy, images, classes):
            look = (
                "compare the order of its classes with the data's, and the normalisation and image size that it was "
                "trained with with this run's, and see whether the file holds trained weights"
                if expert["brought"]
                else "look at its steps, its learning rate and the labels"
            )
            said.append(f"{shown}, which is no better than guessing ({percent(1 / classes)} %): {look}")
        elif student is not None and accuracy < student:
            said.append(
                f"{shown}, fewer than the student on labels ({percent(student)} %): it has little to teach; train it "
                "longer or leave it out of the ladder"
            )
    return said


def at_first_rung(trials: Sequence[dict[str, Any]]) -> tuple[int | None, list[tuple[dict[str, Any], float]]]:
    """The steps after which every trial can be compared, and each good trial's validation accuracy there.

    With early stopping trials end after different numbers of steps, but each has been through the shortest.
    """
    good = [trial for trial in trials if trial["status"] != "failed" and trial["validation_accuracy"] is not None]
    rungs = {trial["id"]: trial.get("rungs") or [[trial["steps"], trial["validation_accuracy"]]] for trial in good}
    if not good:
        return None, []
    steps = min(rung[0] for each in rungs.values() for rung in each)
    return steps, [(trial, rungs[trial["id"]][0][1]) for trial in good]


def sensitivity(trials: Sequence[dict[str, Any]], finals: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """How far validation accuracy moves over a search's trials, beside how far it moves over final students' seeds.

    None before any trial has ended.
    """
    steps, found = at_first_rung(trials)
    values = [value for _, value in found]
    if not values:
        return None
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    seeds = [row["validation_accuracy"] for row in finals if row["validation_accuracy"] is not None]
    return {
        "trials": len(values),
        "steps": steps,
        "low": min(values),
        "first_quartile": quartiles[0],
        "median": quartiles[1],
        "third_quartile": quartiles[2],
        "high": max(values),
        "seed_spread": statistics.stdev(seeds) if len(seeds) > 1 else None,
    }
