"""Figures of the result: methods against each other, their training, and the networks' size."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.recipe.methods import REFERENCE, method_of
from orchestrator.report.content.schema import Comparison, NetworkRow, StudentRow
from orchestrator.report.content.statistics import ranking
from orchestrator.report.page.figures.style import (
    QUIET,
    TEXT,
    Attributes,
    Figure,
    Trace,
    axis,
    colours_of,
    faint,
    figure,
    scatter,
)

History = Sequence[tuple[int, float]]  # steps and validation accuracy
PERCENT = "%{x:.2f} %"


def points(*runs: Sequence[StudentRow]) -> Figure | None:
    """Each student's test accuracy, a row a method, the best mean first; the mean is a bar across.

    Of several runs, given their students, a row a method and run, numbered from 1.
    """
    several = len(runs) > 1
    rows = [(f"run {number}", row) for number, students in enumerate(runs, 1) for row in ranking(students)]
    if not rows:
        return None
    order = list(dict.fromkeys(row["method"] for _, row in rows))
    data: list[Trace] = []
    for run, row in sorted(rows, key=lambda item: order.index(item[1]["method"])):
        method = row["method"]
        pairs = zip(row["seeds"], row["test"], strict=True)
        known = {seed: 100 * value for seed, value in pairs if value is not None}
        name, said = (run, f"{method}, {run}") if several else (method, method)
        place = [[method] * len(known), [run] * len(known)] if several else [method] * len(known)
        hover = f"{said}, seed %{{customdata}}: {PERCENT}"
        marker = _marker(method, opacity=0.85)
        data.append(scatter(name, [*known.values()], place, hover, marker=marker, customdata=[*known]))
        place, hover = [[method], [run]] if several else [method], f"mean of {said}: {PERCENT}"
        marker = {"symbol": "line-ns", "size": 24, "line": {"width": 3, "color": TEXT}}
        data.append(scatter(f"mean of {name}", [100 * (row["test_mean"] or 0.0)], place, hover, marker=marker))
    return _rows(data, 34 * len(rows), "test accuracy (%)", "multicategory" if several else "category")


def differences(comparisons: Sequence[Comparison]) -> Figure | None:
    """The reference's lead over each other method, paired by seed, with its interval."""
    data: list[Trace] = []
    for row in comparisons:
        difference, low, high, method = row["difference"], row["low"], row["high"], row["method"]
        if difference is None or low is None or high is None:
            continue
        bars = {
            "type": "data", "symmetric": False, "color": method_of(method).look.colour, "thickness": 2,
            "array": [100 * (high - difference)], "arrayminus": [100 * (difference - low)],
        }  # fmt: skip
        hover = f"{row['reference']} minus {method}: %{{x:+.2f}} points, from {100 * low:+.2f} to {100 * high:+.2f}"
        data.append(scatter(method, [100 * difference], [method], hover, marker=_marker(method), error_x=bars))
    if not data:
        return None
    zero = {
        "type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1,
        "line": {"color": TEXT, "width": 1.5, "dash": "dot"},
    }  # fmt: skip
    return _rows(data, 34 * len(data), "difference (points)", "category", shapes=[zero])


def training_curves(histories: Mapping[str, Sequence[History]]) -> Figure | None:
    """Validation accuracy over steps: each method's mean over seeds, in a band from its lowest to its highest seed."""
    bands: list[Trace] = []
    lines: list[Trace] = []
    for method, runs in histories.items():
        by_step: dict[int, list[float]] = {}
        for step, accuracy in (row for history in runs for row in history):
            by_step.setdefault(step, []).append(100 * accuracy)
        steps, look = sorted(by_step), method_of(method).look
        lows, highs = [min(by_step[step]) for step in steps], [max(by_step[step]) for step in steps]
        bands.append(
            {
                "type": "scatter", "mode": "lines", "name": f"{method}, seeds", "legendgroup": method,
                "showlegend": False, "hoverinfo": "skip", "x": [*steps, *reversed(steps)],
                "y": [*highs, *reversed(lows)], "fill": "toself", "fillcolor": faint(look.colour, 0.1),
                "line": {"width": 0},
            }
        )  # fmt: skip
        lines.append(
            scatter(
                method, steps, [statistics.fmean(by_step[step]) for step in steps],
                f"{method}, step %{{x}}: %{{y:.2f}} %", legend=True, mode="lines+markers", legendgroup=method,
                line={"color": look.colour, "dash": look.dash, "width": 3 if method == REFERENCE else 2},
                marker={"symbol": look.symbol, "size": 6},
            )
        )  # fmt: skip
    if not lines:
        return None
    across, up = axis("training step", rangemode="tozero"), axis("validation accuracy (%)")
    return figure([*bands, *lines], 470, xaxis=across, yaxis=up)  # bands lie under all lines


def capacity(networks: Sequence[NetworkRow], students: Sequence[StudentRow], experts: Sequence[str]) -> Figure | None:
    """Test accuracy over parameters: the experts, and at the student's size each method's mean."""
    colours = colours_of(experts)
    data: list[Trace] = []
    for row in networks:
        if row["role"] == "student" or row["parameters"] is None or row["test_accuracy"] is None:
            continue
        colour = colours.get(row["name"]) or colours.get(row.get("network", ""), QUIET)
        another = row["role"] == "ta of another topology"
        data.append(
            scatter(
                row["name"], [row["parameters"]], [100 * row["test_accuracy"]],
                f"{row['name']} ({row['role']}): %{{x:,}} parameters, %{{y:.2f}} %", mode="markers+text",
                text=[row["name"]], textfont={"size": 12}, cliponaxis=False,
                textposition="middle left" if row["role"] == "teacher" else "middle right",
                marker={"color": colour, "size": 14, "symbol": "circle-open" if another else "circle",
                        "line": {"width": 3 if another else 0, "color": colour}},
            )
        )  # fmt: skip
    size = next((row["parameters"] for row in networks if row["role"] == "student"), None)
    for best in ranking(students) if size else []:
        method, place = best["method"], [100 * (best["test_mean"] or 0.0)]
        hover = f"student by {method}: %{{x:,}} parameters, %{{y:.2f}} %"
        data.append(scatter(method, [size], place, hover, legend=True, marker=_marker(method)))
    if not data:
        return None
    exponents = [math.log10(trace["x"][0]) for trace in data]
    span = [min(exponents) - 0.25, max(exponents) + 0.25]
    return figure(
        data, 470, yaxis=axis("test accuracy (%)"), xaxis=axis("parameters", type="log", dtick=1, range=span)
    )  # fmt: skip


def _marker(method: str, size: int = 11, **more: Any) -> Attributes:
    look = method_of(method).look
    return {"color": look.colour, "symbol": look.symbol, "size": size, **more}


def _rows(data: list[Trace], height: int, title: str, kind: str, **layout: Any) -> Figure:
    """Traces in rows by category, the first on top."""
    rows = axis("", autorange="reversed", type=kind, dividercolor=QUIET)
    return figure(data, 90 + height, xaxis=axis(title), yaxis=rows, **layout)
