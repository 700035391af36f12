"""Numbers, settings and lists in words, for the page, report.md and the model card."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import cast

from orchestrator.artifacts.trials import Point
from orchestrator.recipe.choices import MODE_WORDS, SELECTOR_WORDS, Mode, Selector
from orchestrator.recipe.losses import DEFAULT_LOSS, LOSSES
from orchestrator.recipe.search_space import in_columns
from orchestrator.report.content.hypothesis_schema import Gain
from orchestrator.report.content.schema import Comparison, Distillation, Report
from orchestrator.report.content.significance import is_clear
from orchestrator.report.content.student_t import LEVEL, MOST_PAIRS, POWER

MOST_VALUES = 4  # of seeds, that a table shows each
OTHER_WEIGHTS = {"best": "last", "last": "best"}
"""The weights that stand beside those that were kept, by ``training.keep``."""
VERDICTS = {True: "clear", False: "not clear", None: "not known"}


def percent(share: float | None, digits: int = 2) -> str:
    """A share as per cent; the sign is never parted from its number."""
    return "-" if share is None else f"{100 * share:.{digits}f}\u00a0%"


def hundredths(share: float | None, digits: int = 2) -> str:
    """A share as per cent without the sign, for columns headed by it and for differences in percentage points."""
    return "-" if share is None else f"{100 * share:.{digits}f}"


def points(difference: float | None) -> str:
    """A difference of two accuracies, in percentage points, with its sign."""
    return "-" if difference is None else f"{100 * difference:+.2f}".replace("-", "\u2212")


def interval(comparison: Comparison | Gain) -> str:
    """The interval of a difference, in points."""
    return "-" if comparison["low"] is None else f"{points(comparison['low'])} to {points(comparison['high'])}"


def p_value(value: float | None) -> str:
    """A p-value with three digits."""
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def decimals(value: float | None, digits: int = 3) -> str:
    """A number with so many digits after the point."""
    return "-" if value is None else f"{value:.{digits}f}"


def seeds_needed(comparison: Comparison) -> str:
    """Returns the number of seeds that would show a difference as large as the one found, in words."""
    if comparison["p"] is None:
        return "-"
    return f"> {MOST_PAIRS:,}" if comparison["seeds_needed"] is None else f"{comparison['seeds_needed']:,}"


def verdict(comparison: Comparison) -> str:
    """Whether the difference is clear, in a table's words; by the corrected p-value."""
    return VERDICTS[is_clear(comparison)]


def outcome(comparison: Comparison) -> str:
    """The difference with its interval and verdict, as a sentence; names stand between backquotes."""
    reference, method, difference = comparison["reference"], comparison["method"], comparison["difference"]
    if difference is None:
        return f"`{reference}` and `{method}` have no seed in common yet"
    chosen = ", the baseline with the highest mean validation accuracy" if comparison["primary"] else ""
    said = f"`{reference}` less `{method}`{chosen}: {points(difference)} points"
    pairs = counted(comparison["pairs"], "pair")
    if comparison["p"] is None:
        why = "one seed has no spread" if comparison["pairs"] == 1 else "the difference is the same with every seed"
        return f"{said} ({pairs}); whether that is more than chance can't be told, since {why}"
    holds = "larger than the seeds' spread explains" if is_clear(comparison) else "the seeds' spread may explain it"
    corrected = "" if comparison["primary"] else f", {p_value(comparison['p_corrected'])} by Holm"
    tested = f"{percent(LEVEL, 0)} interval {interval(comparison)}, p {p_value(comparison['p'])}{corrected}"
    return f"{said}, {tested} ({pairs}): {holds}"


def reach(comparison: Comparison) -> str:
    """Returns a sentence on the difference that so many seeds can show and how many it takes; empty where not known."""
    if comparison["p"] is None:
        return ""
    smallest, test = hundredths(comparison["smallest_difference"]), f"two-sided at {percent(1 - LEVEL, 0)}"
    return (
        f"With {counted(comparison['pairs'], 'pair')} of this spread, the smallest detectable difference is {smallest} "
        f"points ({percent(POWER, 0)} power, {test}); to detect the one found takes "
        f"{seeds_needed(comparison).replace('>', 'more than')} seeds"
    )


def number(value: float | None, digits: int = 0) -> str:
    """A number with separators of thousands."""
    return "-" if value is None else f"{value:,.{digits}f}"


def seed_values(values: Sequence[float | None]) -> str:
    """Each seed's accuracy as per cent; of more than ``MOST_VALUES`` the range and the number."""
    if len(values) <= MOST_VALUES:
        return ", ".join(map(hundredths, values))
    known = [value for value in values if value is not None]
    count = f"{len(known)} of {len(values)}" if len(known) < len(values) else str(len(values))
    return f"{hundredths(min(known))} to {hundredths(max(known))} ({count} seeds)" if known else f"- ({count} seeds)"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else ""


def counted(things: Sized | int, name: str) -> str:
    """The number of things with their name in the singular or plural."""
    count = things if isinstance(things, int) else len(things)
    return f"{count} {name}{'' if count == 1 else 's'}"


def notes(content: Report) -> list[str]:
    """Sentences below the methods' table: who was taught by which ladder, and methods that have the same students."""
    said, ladders = [], content["seeds"]["ladders"]
    if len(ladders) > 1:
        parts = []
        for ladder in ladders:
            seeds = sorted({row["seed"] for row in content["methods"] if row.get("ladder_seed") == ladder})
            students = f"seed{'' if len(seeds) == 1 else 's'} {listed([str(seed) for seed in seeds])}"
            parts.append(f"that of seed {ladder} teaches the students of {students}")
        said.append(f"The ladder was trained {len(ladders)} times: {'; '.join(parts)}.")
    return said + [
        f"`{method}` has the students of `{earlier}`: on this ladder the two are the same, and were trained once."
        for method, earlier in content["coinciding"].items()
    ]


def settings(values: Point) -> str:
    """``name value`` of each setting, with commas between."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def taught_loss(taught: Distillation) -> str:
    """The distillation loss of a network with its parameters; artifacts of old versions do not name it, and had kd."""
    parameters = settings(dict(taught.get("loss_parameters", {})))
    return taught.get("loss", DEFAULT_LOSS) + (f" ({parameters})" if parameters else "")


def described_loss(taught: Distillation) -> str:
    """The same in words, with its publication."""
    row = LOSSES[taught.get("loss", DEFAULT_LOSS)]
    return f"{taught_loss(taught)}: {row.words} ({row.source})"


def labels_weight(taught: Distillation) -> float:
    """The weight of the labels' cross-entropy; where an artifact of an old version does not have it, the rest."""
    return taught.get("ce_weight", 1 - taught["kd_weight"])


def stratum_name(place: int, count: int) -> str:
    """``1 (easiest)``, ``2``, ... ``3 (hardest)``."""
    return f"{place + 1}" + (" (easiest)" if place == 0 else " (hardest)" if place == count - 1 else "")


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def curriculum(point: Point) -> str:
    """The curriculum of a point of the search, in words; names stand between backquotes."""
    mode, selector = cast(Mode, point["mode"]), cast(Selector, point["selector"])
    said = f"mode `{mode}` ({MODE_WORDS[mode]}), selector `{selector}` ({SELECTOR_WORDS[selector]})"
    if table := in_columns(point).get("table"):
        said += f", from the easiest stratum to the hardest {table}"
    if mode == "static":
        return f"{said}. Pacing has no part in it"
    family, a, b = point["family"], float(point["a"]), float(point["b"])
    said += (
        f", pacing `{family}` with a = {a:g} (everything is in play after {percent(a, 0)} of "
        f"training) and b = {b:g} ({percent(b, 0)} at the start)"
    )
    if family == "fixed_exponential":
        increase, step_length = float(point["increase"]), float(point["step_length"])
        said += f", rising by {increase:g} every {percent(step_length, 0)} of training"
    return said
