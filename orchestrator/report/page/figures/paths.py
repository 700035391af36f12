"""The picture of TA paths: validation accuracy against cost, with the Pareto front."""

from __future__ import annotations

from orchestrator.report.content.paths_schema import PathRow, PathsReport
from orchestrator.report.page.figures.style import QUIET, Attributes, Figure, Trace, axis, figure, scatter
from orchestrator.report.path_words import GIGA, title

COLOURS = ("#0072b2", "#d55e00", "#cc79a7", "#8c8c8c")  # of topologies, in the order in which they are compared


def accuracy_against_cost(content: PathsReport) -> Figure | None:
    """Every path that has all its students: a point with its number and its seed spread; finalists are stars."""
    known = [row for row in content["rows"] if row["validation_mean"] is not None]
    if not known:
        return None
    front = sorted((row for row in known if row["on_front"]), key=lambda row: row["multiply_adds"])
    data: list[Trace] = [
        scatter(
            "Pareto front", [_cost(row) for row in front], [_accuracy(row) for row in front], "Pareto front",
            legend=True, mode="lines", hoverinfo="skip", line={"color": QUIET, "width": 1.5, "dash": "dot"},
        )
    ]  # fmt: skip
    for topology, colour in zip(content["topologies"], COLOURS, strict=False):
        rows = [row for row in known if row["topology"] == topology]
        if rows:
            data.append(_points(topology, rows, colour))
    across = axis("cost of one student with all that it needs (10<sup>9</sup> multiply-adds)", type="log")
    return figure(data, 470, xaxis=across, yaxis=axis("validation accuracy (%)"))


def _points(name: str, rows: list[PathRow], colour: str) -> Trace:
    bars: Attributes = {
        "type": "data", "array": [100 * (row["validation_spread"] or 0.0) for row in rows], "color": colour,
        "thickness": 1.2,
    }  # fmt: skip
    symbols = ["star" if row["finalist"] else "circle" for row in rows]
    return scatter(
        name, [_cost(row) for row in rows], [_accuracy(row) for row in rows],
        "%{customdata}: %{x:.3g}, %{y:.2f} %", legend=True, mode="markers+text", error_y=bars,
        text=[str(row["number"]) for row in rows], textposition="top right", cliponaxis=False,
        customdata=[title(row) for row in rows],
        marker={"color": colour, "size": [15 if row["finalist"] else 10 for row in rows], "symbol": symbols},
    )  # fmt: skip


def _cost(row: PathRow) -> float:
    return row["multiply_adds"] / GIGA


def _accuracy(row: PathRow) -> float:
    return 100 * (row["validation_mean"] or 0.0)
