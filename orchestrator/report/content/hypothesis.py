"""CES-KD's hypothesis as a number: does an image gain most from the expert of its own stratum?

A matrix of gains has a row for each stratum, the easiest first, and a column for each expert, the smallest first. The
hypothesis says that its diagonal leads. Row effects (hard images gain more, whoever teaches) and column effects (one
expert is the better teacher, whatever the image) say nothing about it, so the test statistic is free of both: see
``contrast_of``. Pure functions of accuracies, which are shares in [0, 1].
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from orchestrator.report.content.hypothesis_schema import Contrast, FoundTable, Gain, Verdict
from orchestrator.report.content.student_t import pairs_needed, t_quantile

SMALLEST = 0.002  # a lead of the diagonal below this is none: a fifth of a percentage point
SAME = 1e-9  # values that spread less than this are one number

Accuracies = Mapping[int, Sequence[float]]
"""By seed: accuracy on each stratum of the images, the easiest first."""
Matrix = npt.NDArray[np.float64]  # (strata, experts)


def gain_of(differences: Sequence[float]) -> Gain:
    """Returns the mean of the seeds' differences with its 95 % interval, Student's t.

    There is no interval below two seeds, nor where all differences are the same: a spread of nothing is not to be
    believed.
    """
    count = len(differences)
    mean = statistics.fmean(differences) if differences else None
    spread = statistics.stdev(differences) if count > 1 else None
    low = high = None
    if mean is not None and spread is not None and spread > SAME:
        half = t_quantile(count - 1) * spread / math.sqrt(count)
        low, high = mean - half, mean + half
    return {"pairs": count, "gain": mean, "spread": spread, "low": low, "high": high}


def gains(taught: Accuracies, baseline: Accuracies) -> list[Gain]:
    """Returns the gain of one method over the baseline on each stratum, paired by seed."""
    strata = max((len(values) for values in (*taught.values(), *baseline.values())), default=0)
    seeds = [seed for seed in baseline if seed in taught]
    return [gain_of([taught[seed][place] - baseline[seed][place] for seed in seeds]) for place in range(strata)]


def matrices(experts: Sequence[Accuracies], baseline: Accuracies) -> list[Matrix]:
    """Returns the matrix of gains over the baseline of each seed that every expert and the baseline have.

    Args:
        experts: accuracies of the students of each expert, the smallest first.
        baseline: those of the students that the gain is over.
    """
    seeds = [seed for seed in baseline if all(seed in taught for taught in experts)]
    return [
        np.array([taught[seed] for taught in experts], dtype=np.float64).T - np.array(baseline[seed])[:, None]
        for seed in seeds
    ]


def lead_of_diagonal(matrix: Matrix) -> float:
    """Returns the mean of the diagonal less the mean of all other entries, of a square matrix of two rows or more.

    Anything that is added to a whole row, or to a whole column, adds as much to both means; so this is a contrast of
    the interaction alone: E / (E - 1) times the mean of the diagonal after row and column means have been taken out.
    The baseline of the gains falls out with the row effects.
    """
    count = len(matrix)
    diagonal = float(np.trace(matrix))
    return diagonal / count - (float(matrix.sum()) - diagonal) / (count * (count - 1))


def contrast_of(found: Sequence[Matrix]) -> Contrast:
    """Returns the lead of the diagonal over the seeds, each with a matrix of its own, and what follows from it."""
    lead = gain_of([lead_of_diagonal(matrix) for matrix in found])
    needed = None
    if lead["gain"] is not None and lead["spread"] and lead["low"] is not None:
        needed = pairs_needed(lead_to_show(lead["gain"]) / lead["spread"])
    return {**lead, "verdict": verdict(lead), "seeds_needed": needed}


def lead_to_show(lead: float) -> float:
    """Returns the lead that further seeds are to show: the one found, or ``SMALLEST`` where it is less or negative."""
    return max(lead, SMALLEST)


def verdict(lead: Gain) -> Verdict:
    """Returns whether the hypothesis holds, by the 95 % interval of the diagonal's lead.

    It holds where the interval is above zero. It does not where the interval is below ``SMALLEST``: then the diagonal
    leads by less than is of use, or trails. Else so many seeds cannot tell.
    """
    low, high = lead["low"], lead["high"]
    if low is None or high is None:
        return "cannot be told"
    if low > 0:
        return "holds"
    return "does not hold" if high < SMALLEST else "cannot be told"


def compared_with_diagonal(
    table: Sequence[str], experts: Sequence[str], alternatives: Collection[str] | None = None
) -> FoundTable:
    """Returns how a table, the expert of each stratum, compares with the diagonal.

    ``chance`` is the probability that a table drawn at random has as many entries on the diagonal or more: in a stratum
    whose own expert is among k alternatives by 1 / k, in any other never. ``order`` is Kendall's tau-a of stratum and
    size of expert, 1 for the diagonal (Kendall, Biometrika 1938).

    Args:
        table: the expert of each stratum, the easiest first.
        experts: all experts, the smallest first.
        alternatives: those that the search had for each stratum; by default all.
    """
    among = set(alternatives or experts)
    count, sizes = len(table), [experts.index(name) for name in table]
    matches = sum(size == stratum for stratum, size in enumerate(sizes))
    able, share = len(among.intersection(experts[:count])), 1 / len(among)
    tail = [math.comb(able, k) * share**k * (1 - share) ** (able - k) for k in range(matches, able + 1)]
    pairs = [(one, other) for one, other in product(range(count), repeat=2) if one < other]
    rising = [float(np.sign(sizes[other] - sizes[one])) for one, other in pairs]
    return {
        "table": list(table), "matches": matches, "chance": min(1.0, sum(tail)),
        "order": statistics.fmean(rising) if rising else None,
    }  # fmt: skip
