"""``report.html``: one file with everything in it, from the content of ``report.json`` and the artifacts it names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from orchestrator.artifacts.store import Store
from orchestrator.recipe.methods import BASELINE, REFERENCE, method_of
from orchestrator.report.content.schema import Report
from orchestrator.report.page.answers import Values
from orchestrator.report.page.scored import scored
from orchestrator.report.page.sections import SECTIONS
from orchestrator.report.templates import fill

PACKAGE = "orchestrator.report.page"


class Part(NamedTuple):
    """A section of a page: its anchor, its name in the navigation, its content, and its class in the style sheet."""

    id: str
    name: str
    html: str
    style: str | None = None


def page_of(content: Report, store: Store) -> str:
    """The page of a run, whole or not. Parts whose artifacts can't be read are left out, with a note where that
    matters."""
    found = scored(content, store)
    parts = []
    for name, section in SECTIONS.items():
        values = section(content, store, found)
        if values is not None:
            parts.append(part(section.__name__, name, {**content, **values}))
    return document("report.html", f"{content['run']['name']}: report", parts, **content)


def part(template: str, name: str, values: Values, anchor: str | None = None) -> Part:
    """A section from its template."""
    known = {"method_of": method_of, "reference": REFERENCE, "baseline": BASELINE}
    html = fill(PACKAGE, f"{template}.html", **known, **values)
    return Part(anchor or template, name, html, values.get("style"))


def document(template: str, title: str, parts: Sequence[Part], **values: Any) -> str:
    """A page with its style sheet, its script and plotly.js inside. ``values`` are those of the template's heading."""
    return fill(
        PACKAGE, template, title=title, parts=parts, style=_asset("page.css"), script=_asset("page.js"),
        plotly=_plotly(), **values,
    )  # fmt: skip


def _asset(name: str) -> str:
    return (files("orchestrator.report") / "assets" / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    """The script that draws the figures. Of its bundles the package brings one, with every kind of trace (5 MB)."""
    from plotly.offline import get_plotlyjs  # only where a page is made

    return str(get_plotlyjs())
