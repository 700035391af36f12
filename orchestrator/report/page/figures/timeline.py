"""Timeline of a run: stages on the nodes of the cluster."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.pipeline.kinds import LOOKS, look_of
from orchestrator.report.content.schema import StageRow
from orchestrator.report.page.figures.style import TEXT, Figure, axis, figure

PAUSE = 60.0  # seconds without any stage at work that are cut out of the axis


def without_pauses(spans: Sequence[tuple[float, float]]) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Spans of work counted from the first start, with long pauses cut out; and each cut: where, and its seconds.

    Stages kept from an earlier run may have been made days before the others.
    """
    order = sorted(range(len(spans)), key=lambda number: spans[number][0])
    moved: list[tuple[float, float]] = [(0.0, 0.0)] * len(spans)
    cuts: list[tuple[float, float]] = []
    offset, reached = (spans[order[0]][0], spans[order[0]][0]) if spans else (0.0, 0.0)
    for number in order:
        start, end = spans[number]
        if start - reached > PAUSE:
            cuts.append((reached - offset, start - reached))
            offset += start - reached
        moved[number] = (start - offset, end - offset)
        reached = max(reached, end)
    return moved, cuts


def lanes(spans: Sequence[tuple[str, float, float]]) -> list[int]:
    """For (node, start, end), the first lane of its node that is free at its start, counted from 0."""
    chosen = [0] * len(spans)
    free: dict[str, list[float]] = {}
    for number in sorted(range(len(spans)), key=lambda item: spans[item][1]):
        node, start, end = spans[number]
        ends = free.setdefault(node, [])
        lane = next((place for place, until in enumerate(ends) if until <= start), len(ends))
        ends[lane:] = [end, *ends[lane + 1 :]]
        chosen[number] = lane
    return chosen


def timeline(stages: Sequence[StageRow]) -> tuple[Figure, list[tuple[float, float]]] | None:
    """Every stage as a bar on its node, by kind; kept stages hatched. Returns the cuts too, see ``without_pauses``."""
    made = [stage for stage in stages if stage["start"] is not None]
    if not made:
        return None
    spans, cuts = without_pauses([(stage["start"] or 0.0, stage["end"] or 0.0) for stage in made])
    place = lanes([(stage["node"] or "", *span) for stage, span in zip(made, spans, strict=True)])
    rows = [f"{stage['node']} · {lane + 1}" for stage, lane in zip(made, place, strict=True)]
    data = []
    looks = [look_of(stage["kind"], stage.get("part")) for stage in made]
    for look in LOOKS:
        mine = [number for number in range(len(made)) if looks[number] == look]
        if not mine:
            continue
        kept = ["kept" if made[number]["reused"] else "made in this run" for number in mine]
        data.append(
            {
                "type": "bar", "orientation": "h", "name": look.word, "y": [rows[number] for number in mine],
                "base": [round(spans[number][0], 2) for number in mine],
                "x": [round(max(spans[number][1] - spans[number][0], 0.05), 2) for number in mine],
                "text": [made[number]["name"] for number in mine], "textposition": "inside", "textangle": 0,
                "insidetextanchor": "start", "constraintext": "inside",
                "insidetextfont": {"color": "#ffffff", "size": 11},
                "customdata": [[how] for how in kept],
                "marker": {
                    "color": look.colour, "line": {"width": 1, "color": "var(--page)"},
                    "pattern": {"shape": ["/" if how == "kept" else "" for how in kept], "size": 6, "solidity": 0.18,
                                "fgcolor": "#ffffff", "fgopacity": 0.6, "fillmode": "overlay"},
                },
                "hovertemplate": "%{text}<br>from %{base:.1f} s, for %{x:.1f} s, on "
                "%{y}<br>%{customdata[0]}<extra></extra>",
            }
        )  # fmt: skip
    order = sorted(set(rows), key=lambda row: (row.rpartition(" · ")[0], int(row.rpartition(" · ")[2])))
    cut_lines = [
        {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1,
         "line": {"color": TEXT, "width": 1.5, "dash": "dash"}}
        for at, _ in cuts
    ]  # fmt: skip
    drawn = figure(
        data, 130 + 46 * len(order), barmode="overlay", bargap=0.18, shapes=cut_lines,
        xaxis=axis("seconds of work since the first start"),
        yaxis=axis("", type="category", categoryorder="array", categoryarray=order, autorange="reversed"),
        uniformtext={"mode": "hide", "minsize": 9},
    )  # fmt: skip
    return drawn, cuts
