"""The hypothesis in words: its verdict, gains, and the table that a search has found. Names stand in backquotes."""

from __future__ import annotations

from orchestrator.recipe.methods import REFERENCE, methods_of_experts
from orchestrator.report.content.hypothesis import SMALLEST, lead_to_show
from orchestrator.report.content.hypothesis_schema import Contrast, FoundTable, Gain, Hypothesis
from orchestrator.report.content.student_t import LEVEL, MOST_PAIRS, POWER
from orchestrator.report.words import counted, hundredths, listed, percent, points, stratum_name

OF_TEST = "a stratum of the test images gains more from its own expert than from others"
OF_TRAINING = "the student gains more where a stratum of the training images has its own expert than others"


def gain(cell: Gain) -> str:
    """A mean gain with half the width of its interval, in points: ``+0.42 ± 0.32``."""
    if cell["gain"] is None or cell["high"] is None:
        return points(cell["gain"])
    return f"{points(cell['gain'])} ± {hundredths(cell['high'] - cell['gain'])}"


def conclusion(contrast: Contrast, what: str) -> str:
    """Whether the hypothesis holds, with the lead of the diagonal, its interval, and the seeds that it would take.

    Args:
        contrast: the lead of the diagonal.
        what: says what a lead means, after "by which".
    """
    seeds = counted(contrast["pairs"], "seed")
    said = {
        "holds": "On these data the hypothesis **holds**",
        "does not hold": "On these data the hypothesis **does not hold**",
        "cannot be told": f"On these data it **cannot be told** with {seeds} whether the hypothesis holds",
    }[contrast["verdict"]]
    lead, low, high = contrast["gain"], contrast["low"], contrast["high"]
    if lead is None:
        return f"{said}: no seed has all its students yet."
    said += f". The lead of the diagonal, by which {what}, is {points(lead)} points"
    if low is None or high is None:
        why = "one seed has no spread" if contrast["pairs"] == 1 else "it is the same with every seed, by chance"
        return f"{said}, but {why}: give `seeds` three values or more."
    said += f" ({percent(LEVEL, 0)} interval {points(low)} to {points(high)}, {seeds})"
    if contrast["verdict"] == "does not hold" and high > 0:
        return f"{said}: if there is one, it is below {hundredths(SMALLEST, 1)} points."
    if contrast["verdict"] == "cannot be told":
        needed = contrast["seeds_needed"]
        count = f"more than {MOST_PAIRS:,} seeds" if needed is None else f"about {counted(needed, 'seed')}"
        shown = f"a lead of {hundredths(lead_to_show(lead))} points"
        return f"{said}. To show {shown} at this spread would take {count} ({percent(POWER, 0)} power)."
    return f"{said}."


def found(table: FoundTable) -> str:
    """Returns a sentence that compares the table which the search has found with the diagonal."""
    experts = listed([f"`{name}`" for name in table["table"]])
    said = (
        f"Free to choose the expert of each stratum, the search for `{REFERENCE}` found, from the easiest stratum to "
        f"the hardest, {experts}: {table['matches']} of {len(table['table'])} strata have the expert that the "
        f"hypothesis gives them (by chance as many or more: {percent(table['chance'], 0)})"
    )
    if table["order"] is not None:
        said += f", and Kendall's rank correlation of stratum and size of expert is {table['order']:+.2f}"
    return f"{said}. Another seed of the search may find another table."


def sentences(measured: Hypothesis) -> list[str]:
    """All that a run says about the hypothesis, a sentence or two each."""
    by_expert, by_cell, table = measured["by_expert"], measured["by_cell"], measured["found"]
    said = [conclusion(by_expert["contrast"], OF_TEST)] if by_expert else []
    if by_cell:
        direct = conclusion(by_cell["contrast"], OF_TRAINING)
        said.append(f"The direct form: {direct[0].lower()}{direct[1:]}")
    return [*said, *([found(table)] if table else [])]


def gain_rows(measured: Hypothesis) -> list[tuple[str, ...]]:
    """Gains on each stratum of the test images, a row a method, first those of one expert, the smallest first."""
    by_expert = measured["by_expert"]
    if not by_expert:
        return []
    columns = zip(methods_of_experts(measured["experts"]), zip(*by_expert["gains"], strict=True), strict=True)
    rows = [*columns, *measured["others"].items()]
    return [(name, *(gain(cell) for cell in cells)) for name, cells in rows]


def cell_rows(measured: Hypothesis) -> list[tuple[str, ...]]:
    """Gains of the cells, a row a stratum of the training images, the easiest first."""
    rows = measured["by_cell"]["gains"] if measured["by_cell"] else []
    return [(stratum_name(place, len(rows)), *(gain(cell) for cell in row)) for place, row in enumerate(rows)]
