"""Figures of experts and strata: difficulty, accuracy of each expert, shares taught."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from orchestrator.report.page.figures.style import QUIET, SHADE, TEXT, Figure, Trace, axis, colours_of, figure
from orchestrator.report.words import stratum_name

BINS = 60
WIDE = 100.0  # greatest by smallest difficulty from which on the axis is logarithmic


def difficulty_histogram(
    difficulty: npt.NDArray[np.float64], strata: npt.NDArray[np.int64], experts: Sequence[str], scorer: str
) -> Figure:
    """A histogram of the difficulties, (N,), with bars by stratum in the colour of its own expert."""
    colours = colours_of(experts)
    # Losses lie over many powers of ten, and on a linear axis nearly all of them in one bar.
    powers = bool(difficulty.min() > 0 and difficulty.max() > WIDE * difficulty.min())
    shown = np.log10(difficulty) if powers else difficulty
    low, high = float(shown.min()), float(shown.max())
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    centres = (edges[1:] + edges[:-1]) / 2
    data = []
    for number, expert in enumerate(experts):
        counts = np.histogram(shown[strata == number], edges)[0]
        name = f"stratum {stratum_name(number, len(experts))}: {expert}"
        data.append(
            {
                "type": "bar", "name": name, "x": centres.round(4).tolist(),
                "y": counts.tolist(), "width": float(edges[1] - edges[0]), "marker": {"color": colours[expert]},
                "customdata": (10**centres if powers else centres).tolist(),
                "hovertemplate": f"{name}<br>difficulty %{{customdata:.3g}}: %{{y}} images<extra></extra>",
            }
        )  # fmt: skip
    across = axis(f"difficulty ({scorer})")
    if powers:
        exponents = range(math.ceil(low), math.floor(high) + 1)
        across |= {"tickvals": list(exponents), "ticktext": [f"10<sup>{exponent}</sup>" for exponent in exponents]}
    return figure(data, 400, barmode="stack", bargap=0, xaxis=across, yaxis=axis("training images"))


def agreement(right: npt.NDArray[np.float64], experts: Sequence[str]) -> Figure:
    """Share of each stratum's images (rows) that each expert (columns) is right on: (strata, experts)."""
    strata = [stratum_name(number, len(experts)) for number in range(len(right))]
    data = [
        {
            "type": "heatmap", "x": list(experts), "y": strata, "z": (100 * right).round(1).tolist(),
            "colorscale": SHADE, "zmin": 0, "zmax": 100, "texttemplate": "%{z:.1f} %", "xgap": 3, "ygap": 3,
            "textfont": {"color": TEXT, "size": 14}, "showscale": False,
            "hovertemplate": "stratum %{y}: %{x} is right on %{z:.1f} %<extra></extra>",
        }
    ]  # fmt: skip
    return figure(
        data, 110 + 56 * len(right), xaxis=axis("expert, the smallest first", type="category", showgrid=False),
        yaxis=axis("stratum", type="category", autorange="reversed", showgrid=False),
    )  # fmt: skip


def taught(methods: Mapping[str, Sequence[Sequence[float]]], experts: Sequence[str]) -> Figure:
    """Bars of the share that each expert taught: a row a method and stratum, in the experts' colours."""
    colours = colours_of(experts)
    data: list[Trace] = []
    # Two levels of categories: the method, and within it the stratum.
    names = [
        [method for method, shares in methods.items() for _ in shares],
        [stratum_name(number, len(shares)) for shares in methods.values() for number in range(len(shares))],
    ]
    for number, expert in enumerate(experts):
        shares = [round(100 * row[number], 2) for rows in methods.values() for row in rows]
        data.append(
            {
                "type": "bar", "orientation": "h", "name": expert, "x": shares, "y": names,
                "marker": {"color": colours[expert]},
                "text": [f"{share:.0f} %" if share >= 8 else "" for share in shares],
                "textposition": "inside", "insidetextanchor": "middle", "textangle": 0,
                "insidetextfont": {"color": "#ffffff"},
                "hovertemplate": f"%{{y}}: {expert} taught %{{x:.1f}} %<extra></extra>",
            }
        )  # fmt: skip
    return figure(
        data, 100 + 30 * len(names[0]), barmode="stack", bargap=0.15,
        xaxis=axis("images taught (%)", range=[0, 100]),
        yaxis=axis("", type="multicategory", autorange="reversed", dividercolor=QUIET),
    )  # fmt: skip
