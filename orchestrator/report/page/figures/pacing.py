"""Pacing curves of a search's trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from curricula import pacing
from orchestrator import user_code
from orchestrator.report.content.statistics import at_first_rung
from orchestrator.report.page.figures.style import SCALE, TEXT, Figure, axis, figure, on_scale

PACING = ("family", "a", "b", "increase", "step_length")
STEPS = 101


def curve(config: dict[str, Any]) -> tuple[list[float], list[float]] | None:
    """Progress and the fraction in play of a point of the search, or of a curriculum.

    None for a user-defined family whose module is not on the machine that writes the report.
    """
    settings = config.get("pacing") or config
    progress = np.linspace(0, 1, STEPS)
    if config.get("mode") == "static" or "family" not in settings:
        return progress.tolist(), np.ones(STEPS).tolist()  # everything is in play throughout
    of_family = PACING if settings["family"] == "fixed_exponential" else PACING[:3]
    given = {name: settings[name] for name in of_family}
    if user_code.is_user_defined(settings["family"]):
        try:
            given["family"] = user_code.load(settings["family"])
        except user_code.UserCodeError:
            return None
    fraction = pacing.make(**given)(progress)
    return progress.tolist(), [round(float(value), 4) for value in fraction]


def pacing_curves(
    trials: Sequence[dict[str, Any]], best: dict[str, Any] | None, final: dict[str, Any] | None, name: str
) -> Figure | None:
    """Every trial's fraction in play over progress, by colour its validation accuracy; best and ``final`` bold.

    ``final`` is the curriculum that the final students had; ``name`` says which students.
    """
    steps, found = at_first_rung(trials)
    values = [100 * value for _, value in found]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    data: list[dict[str, Any]] = []
    for trial, value in sorted(found, key=lambda item: item[1]):
        drawn = curve(trial["config"])
        if drawn is None:
            continue
        x, y = drawn
        place = (100 * value - low) / (high - low) if high > low else 1.0
        data.append(
            {
                "type": "scatter", "mode": "lines", "x": x, "y": y, "showlegend": False, "name": f"trial {trial['id']}",
                "line": {"color": on_scale(place), "width": 1.8},
                "hovertemplate": f"trial {trial['id']}: {_said(trial['config'])}<br>validation {100 * value:.2f} % "
                f"after {steps} steps<br>progress %{{x:.2f}}: %{{y:.2f}} in play<extra></extra>",
            }
        )  # fmt: skip
    drawn = curve(best["config"]) if best else None
    if best and drawn:
        x, y = drawn
        data.append(
            {
                "type": "scatter", "mode": "lines", "x": x, "y": y, "name": f"best trial ({best['id']})",
                "line": {"color": on_scale(1.0), "width": 6},
                "hovertemplate": f"best trial: {_said(best['config'])}<extra></extra>",
            }
        )  # fmt: skip
    drawn = curve(final) if final else None
    if drawn:
        x, y = drawn
        data.append(
            {
                "type": "scatter", "mode": "lines", "x": x, "y": y, "name": f"final students of {name}",
                "line": {"color": TEXT, "width": 2.5, "dash": "dash"},
                "hovertemplate": "final students: %{y:.2f} in play at progress %{x:.2f}<extra></extra>",
            }
        )  # fmt: skip
    if not data:
        return None
    if values:
        data.append(_colour_bar(low, high, f"validation %<br>at step {steps}"))
    return figure(
        data, 450, xaxis=axis("progress: share of training done", range=[0, 1]),
        yaxis=axis("fraction in play", range=[0, 1.04]),
    )  # fmt: skip


def _colour_bar(low: float, high: float, title: str) -> dict[str, Any]:
    """A trace of nothing that brings a colour bar."""
    return {
        "type": "scatter", "mode": "markers", "x": [None], "y": [None], "showlegend": False, "hoverinfo": "skip",
        "marker": {
            "color": [low, high], "colorscale": SCALE, "cmin": low, "cmax": high, "showscale": True,
            "colorbar": {
                "title": {"text": title, "font": {"size": 12}}, "thickness": 12, "outlinewidth": 0, "len": 0.8,
            },
        },
    }  # fmt: skip


def _said(config: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in config.items())
