"""Common parts of all figures: a colour for each expert, scales, axes and the layout's base.

The colours of methods stand in ``orchestrator/recipe/methods.py``. Colours of text and lines are CSS variables of the
page; its script fills in their values for the light or the dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

Attributes = dict[str, Any]
"""Attributes of a plotly object by name, as JSON; plotly.js checks them, by a schema of thousands."""
Trace = Attributes


class Figure(TypedDict):
    """A figure as plotly.js takes it."""

    data: list[Trace]
    layout: Attributes


TEXT, QUIET, LINES = "var(--text)", "var(--quiet)", "var(--lines)"
LOW, MIDDLE, HIGH = "#3b6fb6", "#8f86a3", "#e8700a"  # of a value between two ends; also told apart by lightness
SCALE = [[0.0, LOW], [0.5, MIDDLE], [1.0, HIGH]]
SHADE = [[0.0, "rgba(0,114,178,0.04)"], [1.0, "rgba(0,114,178,0.62)"]]  # over the page, so text on it can be read


_EXPERTS = ((94, 190, 110), (33, 145, 150), (66, 104, 190), (130, 80, 175), (190, 70, 140))  # small to large


def mixed(stops: Sequence[tuple[int, int, int]], place: float) -> str:
    """The colour at ``place`` in [0, 1] along evenly spaced stops."""
    at = min(max(place, 0.0), 1.0) * (len(stops) - 1)
    first = min(int(at), len(stops) - 2)
    share = at - first
    mixture = (round(a + (b - a) * share) for a, b in zip(stops[first], stops[first + 1], strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixture)


def on_scale(place: float) -> str:
    """The colour of ``SCALE`` at ``place`` in [0, 1]."""
    stops = [tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) for colour in (LOW, MIDDLE, HIGH)]
    return mixed(stops, place)  # type: ignore[arg-type]


def colours_of(experts: Sequence[str]) -> dict[str, str]:
    """A colour for each expert, given the smallest first."""
    last = max(1, len(experts) - 1)
    return {name: mixed(_EXPERTS, number / last) for number, name in enumerate(experts)}


def faint(colour: str, opacity: float) -> str:
    """``#rrggbb`` with an opacity."""
    parts = ",".join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return f"rgba({parts},{opacity:g})"


def axis(title: str, **more: Any) -> Attributes:
    """An axis that makes room for its own labels."""
    base = {
        "title": {"text": title, "standoff": 8}, "automargin": True, "gridcolor": LINES, "linecolor": LINES,
        "zerolinecolor": LINES, "ticks": "outside", "tickcolor": LINES,
    }  # fmt: skip
    return base | more


def scatter(
    name: str, x: Sequence[Any], y: Sequence[Any], hover: str, legend: bool = False, mode: str = "markers", **more: Any
) -> Trace:
    """A trace of points, with a text that is shown under the pointer."""
    trace = {"type": "scatter", "mode": mode, "name": name, "x": x, "y": y, "hovertemplate": f"{hover}<extra></extra>"}
    return trace | ({} if legend else {"showlegend": False}) | more


def figure(data: list[Trace], height: int, **layout: Any) -> Figure:
    """A figure of so many pixels' height, as wide as its place."""
    base = {
        "height": height, "margin": {"l": 10, "r": 10, "t": 16, "b": 10}, "dragmode": False,
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": TEXT, "size": 13, "family": "inherit"},
        "hoverlabel": {"namelength": -1, "bgcolor": "var(--raised)", "font": {"color": TEXT}, "bordercolor": LINES},
        "legend": {"orientation": "h", "yref": "container", "y": 0.0, "yanchor": "bottom", "x": 0.0,
                   "traceorder": "normal"},
    }  # fmt: skip
    return {"data": data, "layout": base | layout}
