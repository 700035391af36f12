"""Numbers and settings in words."""

from __future__ import annotations

from typing import Any

MODES = {
    "static": "every image is in play and every expert teaches from the first step",
    "reveal": "the easiest images come first, harder ones as the fraction rises",
    "promote": "every image is in play; the smallest expert teaches first, larger ones as the fraction rises",
    "both": "easy images and small experts come first, hard images and large experts as the fraction rises",
}
SELECTORS = {
    "stratified": "each stratum of difficulty has its own expert",
    "competent": "each image has the smallest expert that is right and sure enough",
}


def percent(share: float | None, digits: int = 2) -> str:
    """A share as per cent; the sign is never parted from its number."""
    return "-" if share is None else f"{100 * share:.{digits}f}\u00a0%"


def points(difference: float | None) -> str:
    """A difference of two accuracies, in percentage points, with its sign."""
    return "-" if difference is None else f"{100 * difference:+.2f}".replace("-", "\u2212")


def interval(comparison: dict[str, Any]) -> str:
    """The interval of a difference, in points."""
    return "-" if comparison["low"] is None else f"{points(comparison['low'])} to {points(comparison['high'])}"


def listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1] if names else ""


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def schedule(curriculum: dict[str, Any]) -> str:
    """A curriculum (or a point of the search) in words."""
    pacing = curriculum.get("pacing") or curriculum
    mode, selector = curriculum["mode"], curriculum["selector"]
    said = f"mode `{mode}` ({MODES[mode]}), selector `{selector}` ({SELECTORS[selector]})"
    if mode == "static":
        return f"{said}. Pacing has no part in it"
    family = pacing["family"]
    said += (
        f", pacing `{family}` with a = {pacing['a']:g} (everything is in play after {percent(pacing['a'], 0)} of "
        f"training) and b = {pacing['b']:g} ({percent(pacing['b'], 0)} at the start)"
    )
    if family == "fixed_exponential":
        said += f", rising by {pacing['increase']:g} every {percent(pacing['step_length'], 0)} of training"
    return said
