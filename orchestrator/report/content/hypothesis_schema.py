"""The part ``hypothesis`` of ``report.json``: every field with its type and meaning."""

from __future__ import annotations

from typing import Annotated, Literal

from typing_extensions import TypedDict

from orchestrator.recipe.methods import BASELINE, REFERENCE
from orchestrator.report.content.meanings import means

Verdict = Literal["holds", "does not hold", "cannot be told"]


class Gain(TypedDict):
    """A mean difference of test accuracies, paired by seed. There is no interval below two pairs, nor where all
    differences are the same."""

    pairs: Annotated[int, means("number of seeds that both have")]
    gain: Annotated[float | None, means("mean of the differences; `null` without a pair")]
    spread: Annotated[float | None, means("sample standard deviation of the differences; `null` below two pairs")]
    low: Annotated[float | None, means("lower end of the mean's 95 % interval")]
    high: Annotated[float | None, means("upper end of the same interval")]


class Contrast(Gain):
    """The test statistic: of each seed's matrix, the mean of the diagonal less the mean of all other entries, which no
    row or column as a whole can change. `pairs` are the seeds that have a whole matrix."""

    verdict: Annotated[Verdict, means("`holds`: the interval is above 0; else `does not hold`: below 0.002")]
    seeds_needed: Annotated[
        int | None,
        means("seeds that would show this lead, or one of 0.002 if it is less, with 80 % power; `null` above 1,000"),
    ]


class ByExpert(TypedDict):
    """Gains over the students on labels alone, of students that one expert has taught whole."""

    gains: Annotated[list[list[Gain]], means("a row a stratum of the test images, easiest first; a column an expert")]
    contrast: Annotated[Contrast, means("lead of the diagonal (below)")]


class ByCell(TypedDict):
    """Gains on all test images over the students of the teacher alone, of students that one expert has taught one
    stratum of the training images, and the teacher all others. So the teacher's column is 0."""

    gains: Annotated[
        list[list[Gain]], means("a row a stratum of the training images, easiest first; a column an expert")
    ]
    contrast: Annotated[Contrast, means("lead of the diagonal (above)")]


class FoundTable(TypedDict):
    """The best table of a search that may choose each stratum's expert. CES-KD's is the diagonal: the smallest expert
    for the easiest stratum, and so on."""

    table: Annotated[list[str], means("the expert of each stratum, easiest first")]
    matches: Annotated[int, means("strata that have their own expert")]
    chance: Annotated[float, means("probability of as many or more for a table drawn at random from the alternatives")]
    order: Annotated[float | None, means("Kendall's tau of stratum and size of expert: 1 for the diagonal")]


class Hypothesis(TypedDict):
    """Whether easy images gain more from a small expert (docs/hypothesis.md). Parts that were not asked for, or have no
    results yet, are `null`."""

    experts: Annotated[list[str], means("the experts, smallest first: the columns of both matrices")]
    images: Annotated[list[int] | None, means("number of test images in each stratum, easiest first")]
    baseline: Annotated[
        list[float | None] | None, means(f"mean accuracy of `{BASELINE}` on each stratum of test images")
    ]
    by_expert: Annotated[ByExpert | None, means("by the expert that taught the whole student")]
    others: Annotated[dict[str, list[Gain]], means(f"gains over `{BASELINE}` of all other methods on each stratum")]
    by_cell: Annotated[ByCell | None, means("by the expert that taught one stratum")]
    found: Annotated[FoundTable | None, means(f"the best table of the search for `{REFERENCE}`")]


HYPOTHESIS_PARTS: dict[str, type] = {
    "hypothesis": Hypothesis, "hypothesis by expert": ByExpert, "a contrast": Contrast, "a gain": Gain,
    "hypothesis by cell": ByCell, "a found table": FoundTable,
}  # fmt: skip
"""By the heading of the part's table in docs/report.md."""
