"""Pacing curves of a search's trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curricula import pacing
from orchestrator import user_code
from orchestrator.artifacts.trials import Point
from orchestrator.recipe.search_space import SETTINGS
from orchestrator.report.content.schema import Trial
from orchestrator.report.content.statistics import at_first_rung
from orchestrator.report.page.figures import style
from orchestrator.report.page.figures.style import Attributes, Figure, Trace
from orchestrator.report.words import settings

STEPS = 101


def curve(point: Point) -> tuple[list[float], list[float]] | None:
    """Progress and the fraction in play of a point of the search.

    None for a user-defined family whose module is not on the machine that writes the report.
    """
    progress = np.linspace(0, 1, STEPS)
    if point.get("mode", "static") == "static" or "family" not in point:
        return progress.tolist(), np.ones(STEPS).tolist()  # everything is in play throughout
    family = str(point["family"])
    try:
        formula = user_code.load(family) if user_code.is_user_defined(family) else family
    except user_code.UserCodeError:
        return None
    numbers = {
        setting.name: float(point[setting.name])
        for setting in SETTINGS.values()
        if setting.place == "curriculum.pacing" and setting.is_number and setting.when(point)
    }
    fraction = np.atleast_1d(pacing.make(formula, **numbers)(progress))
    return progress.tolist(), [round(float(value), 4) for value in fraction]


def pacing_curves(trials: Sequence[Trial], best: Trial | None, final: Point | None, name: str) -> Figure | None:
    """Every trial's fraction in play over progress, by colour its validation accuracy; best and ``final`` bold.

    ``final`` is the point of the final students of method ``name``.
    """
    steps, found = at_first_rung(trials)
    values = [100 * value for _, value in found]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    data: list[Trace] = []

    def draw(point: Point, name: str, hover: str, line: Attributes, legend: bool = True) -> None:
        drawn = curve(point)
        if drawn is not None:
            data.append(style.scatter(name, *drawn, hover, legend=legend, mode="lines", line=line))

    for trial, value in sorted(found, key=lambda item: item[1]):
        place = (100 * value - low) / (high - low) if high > low else 1.0
        draw(
            trial["config"], f"trial {trial['id']}",
            f"trial {trial['id']}: {settings(trial['config'])}<br>validation {100 * value:.2f} % "
            f"after {steps} steps<br>progress %{{x:.2f}}: %{{y:.2f}} in play",
            {"color": style.on_scale(place), "width": 1.8}, legend=False,
        )  # fmt: skip
    if best:
        hover = f"best trial: {settings(best['config'])}"
        draw(best["config"], f"best trial ({best['id']})", hover, {"color": style.on_scale(1.0), "width": 6})
    if final:
        hover = "final students: %{y:.2f} in play at progress %{x:.2f}"
        draw(final, f"final students of {name}", hover, {"color": style.TEXT, "width": 2.5, "dash": "dash"})
    if not data:
        return None
    if values:
        data.append(_colour_bar(low, high, f"validation %<br>at step {steps}"))
    across = style.axis("progress: share of training done", range=[0, 1])
    return style.figure(data, 450, xaxis=across, yaxis=style.axis("fraction in play", range=[0, 1.04]))


def _colour_bar(low: float, high: float, title: str) -> Trace:
    """An empty trace with a colour bar."""
    return {
        "type": "scatter", "mode": "markers", "x": [None], "y": [None], "showlegend": False, "hoverinfo": "skip",
        "marker": {
            "color": [low, high], "colorscale": style.SCALE, "cmin": low, "cmax": high, "showscale": True,
            "colorbar": {
                "title": {"text": title, "font": {"size": 12}}, "thickness": 12, "outlinewidth": 0, "len": 0.8,
            },
        },
    }  # fmt: skip
