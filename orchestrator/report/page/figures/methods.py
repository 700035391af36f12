"""Pictures of the result: methods against each other, their training, and the networks' size."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.recipe.methods import METHODS, REFERENCE
from orchestrator.report.content.statistics import ranking
from orchestrator.report.markdown import method_rows
from orchestrator.report.page.figures.style import QUIET, TEXT, Figure, axis, expert_colours, faint, figure

History = Sequence[tuple[int, float]]  # steps and validation accuracy


def points(methods: Sequence[dict[str, Any]]) -> Figure | None:
    """Each student's test accuracy, a row a method, the best mean first; the mean is a bar across."""
    rows = ranking(methods)
    if not rows:
        return None
    data: list[dict[str, Any]] = []
    for row in rows:
        look = METHODS[row["method"]].look
        known = [
            (seed, 100 * value) for seed, value in zip(row["seeds"], row["test"], strict=True) if value is not None
        ]
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": row["method"], "showlegend": False,
                "x": [value for _, value in known], "y": [row["method"]] * len(known),
                "marker": {"color": look.colour, "symbol": look.symbol, "size": 11, "opacity": 0.85},
                "customdata": [seed for seed, _ in known],
                "hovertemplate": "%{y}, seed %{customdata}: %{x:.2f} %<extra></extra>",
            }
        )  # fmt: skip
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": f"mean of {row['method']}", "showlegend": False,
                "x": [100 * row["test_mean"]], "y": [row["method"]],
                "marker": {"symbol": "line-ns", "size": 24, "line": {"width": 3, "color": TEXT}},
                "hovertemplate": f"mean of {row['method']}: %{{x:.2f}} %<extra></extra>",
            }
        )  # fmt: skip
    return figure(
        data, 90 + 34 * len(rows),
        xaxis=axis("test accuracy (%)"),
        yaxis=axis("", autorange="reversed", type="category"),
    )  # fmt: skip


def points_of_runs(runs: Sequence[Sequence[dict[str, Any]]]) -> Figure | None:
    """Each student's test accuracy in several runs, given their methods: a row a method and run, numbered from 1."""
    rows = [
        (f"run {number}", row)
        for number, methods in enumerate(runs, 1)
        for row in method_rows(methods)
        if row["test_mean"] is not None
    ]
    if not rows:
        return None
    order = list(dict.fromkeys(row["method"] for _, row in rows))
    rows.sort(key=lambda item: order.index(item[1]["method"]))
    data: list[dict[str, Any]] = []
    for run, row in rows:
        look = METHODS[row["method"]].look
        known = [100 * value for value in row["test"] if value is not None]
        data.append(
            {
                "type": "scatter", "mode": "markers", "showlegend": False, "name": run,
                "x": known, "y": [[row["method"]] * len(known), [run] * len(known)],
                "marker": {"color": look.colour, "symbol": look.symbol, "size": 10, "opacity": 0.85},
                "hovertemplate": f"{row['method']}, {run}: %{{x:.2f}} %<extra></extra>",
            }
        )  # fmt: skip
        data.append(
            {
                "type": "scatter", "mode": "markers", "showlegend": False, "name": run,
                "x": [100 * row["test_mean"]], "y": [[row["method"]], [run]],
                "marker": {"symbol": "line-ns", "size": 20, "line": {"width": 3, "color": TEXT}},
                "hovertemplate": f"mean of {row['method']}, {run}: %{{x:.2f}} %<extra></extra>",
            }
        )  # fmt: skip
    return figure(
        data, 90 + 30 * len(rows), xaxis=axis("test accuracy (%)"),
        yaxis=axis("", type="multicategory", autorange="reversed", dividercolor=QUIET),
    )  # fmt: skip


def differences(comparisons: Sequence[dict[str, Any]]) -> Figure | None:
    """The reference's lead over each other method, paired by seed, with its interval."""
    known = [row for row in comparisons if row["low"] is not None]
    if not known:
        return None
    looks = {row["method"]: METHODS[row["method"]].look for row in known}
    data = [
        {
            "type": "scatter", "mode": "markers", "name": row["method"], "showlegend": False,
            "x": [100 * row["difference"]], "y": [row["method"]],
            "marker": {"color": looks[row["method"]].colour, "symbol": looks[row["method"]].symbol, "size": 11},
            "error_x": {
                "type": "data", "symmetric": False, "color": looks[row["method"]].colour, "thickness": 2,
                "array": [100 * (row["high"] - row["difference"])],
                "arrayminus": [100 * (row["difference"] - row["low"])],
            },
            "hovertemplate": f"{row['reference']} minus {row['method']}: %{{x:+.2f}} points, "
            f"from {100 * row['low']:+.2f} to {100 * row['high']:+.2f}<extra></extra>",
        }
        for row in known
    ]  # fmt: skip
    zero = {
        "type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1,
        "line": {"color": TEXT, "width": 1.5, "dash": "dot"},
    }  # fmt: skip
    return figure(
        data, 90 + 34 * len(known), shapes=[zero],
        xaxis=axis("difference (points)"),
        yaxis=axis("", autorange="reversed", type="category"),
    )  # fmt: skip


def training_curves(histories: Mapping[str, Sequence[History]]) -> Figure | None:
    """Validation accuracy over steps: each method's mean over seeds, in a band from its lowest to its highest seed."""
    data: list[dict[str, Any]] = []
    for method, runs in histories.items():
        by_step: dict[int, list[float]] = {}
        for step, accuracy in (row for history in runs for row in history):
            by_step.setdefault(step, []).append(100 * accuracy)
        steps = sorted(by_step)
        look = METHODS[method].look
        lows, highs = [min(by_step[step]) for step in steps], [max(by_step[step]) for step in steps]
        data.append(
            {
                "type": "scatter", "mode": "lines", "name": f"{method}, seeds", "legendgroup": method,
                "showlegend": False, "hoverinfo": "skip", "x": [*steps, *reversed(steps)],
                "y": [*highs, *reversed(lows)], "fill": "toself", "fillcolor": faint(look.colour, 0.1),
                "line": {"width": 0},
            }
        )  # fmt: skip
        data.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": method, "legendgroup": method,
                "x": steps, "y": [statistics.fmean(by_step[step]) for step in steps],
                "line": {"color": look.colour, "dash": look.dash, "width": 3 if method == REFERENCE else 2},
                "marker": {"symbol": look.symbol, "size": 6},
                "hovertemplate": f"{method}, step %{{x}}: %{{y:.2f}} %<extra></extra>",
            }
        )  # fmt: skip
    if not data:
        return None
    data.sort(key=lambda trace: not trace.get("fill"))  # bands lie under all lines
    return figure(
        data, 470, xaxis=axis("training step", rangemode="tozero"), yaxis=axis("validation accuracy (%)"),
    )  # fmt: skip


def capacity(
    networks: Sequence[dict[str, Any]], methods: Sequence[dict[str, Any]], experts: Sequence[str]
) -> Figure | None:
    """Test accuracy over parameters: the experts, and at the student's size what each method makes of it."""
    colours = expert_colours(experts)
    data: list[dict[str, Any]] = []
    for row in networks:
        if row["role"] == "student" or row["parameters"] is None or row["test_accuracy"] is None:
            continue
        colour = colours.get(row["name"].partition("@")[0], QUIET)
        another = row["role"] == "ta of another topology"
        data.append(
            {
                "type": "scatter", "mode": "markers+text", "name": row["name"], "showlegend": False,
                "x": [row["parameters"]], "y": [100 * row["test_accuracy"]],
                "text": [row["name"]], "textfont": {"size": 12}, "cliponaxis": False,
                "textposition": "middle left" if row["role"] == "teacher" else "middle right",
                "marker": {"color": colour, "size": 14, "symbol": "circle-open" if another else "circle",
                           "line": {"width": 3 if another else 0, "color": colour}},
                "hovertemplate": f"{row['name']} ({row['role']}): %{{x:,}} parameters, %{{y:.2f}} %<extra></extra>",
            }
        )  # fmt: skip
    size = next((row["parameters"] for row in networks if row["role"] == "student"), None)
    for row in ranking(methods) if size else []:
        look = METHODS[row["method"]].look
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": row["method"],
                "x": [size], "y": [100 * row["test_mean"]],
                "marker": {"color": look.colour, "symbol": look.symbol, "size": 11},
                "hovertemplate": f"student by {row['method']}: %{{x:,}} parameters, %{{y:.2f}} %<extra></extra>",
            }
        )  # fmt: skip
    if not data:
        return None
    exponents = [math.log10(trace["x"][0]) for trace in data]
    return figure(
        data, 470, yaxis=axis("test accuracy (%)"),
        xaxis=axis("parameters", type="log", dtick=1, range=[min(exponents) - 0.25, max(exponents) + 0.25]),
    )  # fmt: skip
