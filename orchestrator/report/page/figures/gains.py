"""Heat map of a matrix of gains: strata by experts, with each value and its interval."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.report.content.hypothesis_schema import Gain
from orchestrator.report.hypothesis_words import gain
from orchestrator.report.page.figures.style import TEXT, Attributes, Figure, axis, figure
from orchestrator.report.words import interval, points, stratum_name

# Blue and orange are told apart in every common form of colour blindness. Over the page, so text on them can be read.
LOSS, NONE, GAIN = "rgba(230,120,0,0.65)", "rgba(128,128,128,0.06)", "rgba(0,114,178,0.65)"
LEAST = 0.1  # points at which the colours end at least, so that differences of nothing are not shown as strong ones


def gains(matrix: Sequence[Sequence[Gain]], experts: Sequence[str], over: str) -> Figure | None:
    """Gains in points, a row a stratum and a column an expert; the diagonal is framed.

    None where no gain is known.

    Args:
        matrix: of the gains.
        experts: the smallest first.
        over: the method that the gains are over.
    """
    values = [[None if cell["gain"] is None else round(100 * cell["gain"], 3) for cell in row] for row in matrix]
    known = [abs(value) for row in values for value in row if value is not None]
    if not known:
        return None
    end = max(LEAST, *known)
    strata = [stratum_name(place, len(matrix)) for place in range(len(matrix))]
    text = [[gain(cell).replace(" ± ", "<br>± ") for cell in row] for row in matrix]
    hover = [
        [
            f"stratum {stratum}, {expert}: {points(cell['gain'])} points over {over}, "
            f"interval {interval(cell)}, {cell['pairs']} seeds"
            for cell, expert in zip(row, experts, strict=True)
        ]
        for row, stratum in zip(matrix, strata, strict=True)
    ]
    data = [
        {
            "type": "heatmap", "x": list(experts), "y": strata, "z": values, "zmin": -end, "zmax": end,
            "colorscale": [[0.0, LOSS], [0.5, NONE], [1.0, GAIN]], "showscale": False, "xgap": 3, "ygap": 3,
            "text": text, "texttemplate": "%{text}", "textfont": {"color": TEXT, "size": 13},
            "customdata": hover, "hovertemplate": "%{customdata}<extra></extra>",
        }
    ]  # fmt: skip
    return figure(
        data, 110 + 60 * len(matrix), shapes=[_frame(place) for place in range(min(len(matrix), len(experts)))],
        xaxis=axis("expert, the smallest first", type="category", showgrid=False),
        yaxis=axis("stratum", type="category", autorange="reversed", showgrid=False),
    )  # fmt: skip


def _frame(place: int) -> Attributes:
    """Returns the frame of an entry of the diagonal; categories lie at whole numbers."""
    sides = {"x0": place - 0.48, "x1": place + 0.48, "y0": place - 0.47, "y1": place + 0.47}
    return {"type": "rect", **sides, "line": {"color": TEXT, "width": 2}}
