"""``report.html``: one file with everything in it, from the content of ``report.json`` and the artifacts it names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from orchestrator.artifacts.store import Store
from orchestrator.recipe.methods import REFERENCE
from orchestrator.report.page.answers import answers
from orchestrator.report.page.figures.trials import importances
from orchestrator.report.page.markup import Html, join, single, tag
from orchestrator.report.page.scored import scored
from orchestrator.report.page.sections.experts import experts_section
from orchestrator.report.page.sections.results import capacity_section, methods_section
from orchestrator.report.page.sections.run import (
    again_section,
    cost_section,
    headline,
    status_section,
    timeline_section,
    warnings_section,
)
from orchestrator.report.page.sections.schedule import schedule_section, search_section, space_of

NAMES = {
    "status": "State", "warnings": "Warnings", "answers": "Answers", "methods": "Methods", "schedule": "Schedule",
    "search": "Search", "experts": "Experts", "capacity": "Capacity", "timeline": "Timeline", "cost": "Cost",
    "again": "Again",
}  # fmt: skip


def page_of(content: dict[str, Any], store: Store) -> str:
    """The page of a run, whole or not; what can't be read of its artifacts is left out, with a word where it "
    "matters."""
    found = scored(content, store)
    matters = importances(content["search"]["trials"], space_of(content, REFERENCE))
    parts = {
        "status": status_section(content),
        "warnings": warnings_section(content),
        "answers": answers(content, found, matters),
        "methods": methods_section(content, store),
        "schedule": schedule_section(content),
        "search": search_section(content),
        "experts": experts_section(content, store, found),
        "capacity": capacity_section(content),
        "timeline": timeline_section(content),
        "cost": cost_section(content),
        "again": again_section(content),
    }
    shown = [(name, part) for name, part in parts.items() if part]
    return document(
        f"{content['run']['name']}: report", headline(content), [(name, NAMES[name], part) for name, part in shown],
        live=content["run"]["live"],
    )  # fmt: skip


def document(title: str, header: Html, parts: Sequence[tuple[str, str, Html]], live: bool = False) -> str:
    """A page with its style sheet, its script and plotly.js inside. ``parts`` are (id, name, section)."""
    links = join(tag("li", tag("a", name, href=f"#{place}")) for place, name, _ in parts)
    head = tag(
        "head",
        single("meta", charset="utf-8"),
        single("meta", name="viewport", content="width=device-width, initial-scale=1"),
        single("meta", name="color-scheme", content="light dark"),
        single("link", rel="icon", href="data:,"),  # or the browser asks the server for one
        tag("title", title),
        tag("style", Html(_asset("page.css"))),
    )
    body = tag(
        "body",
        tag("a", "To the content", href="#content", class_="skip"),
        header,
        tag("nav", tag("ul", links), aria_label="Parts of the page"),
        tag("main", *(part for _, _, part in parts), id="content", tabindex="-1"),
        tag("script", Html(_plotly())),
        tag("script", Html(_asset("page.js"))),
        data_live="yes" if live else None,
    )
    return f'<!DOCTYPE html>\n<html lang="en">{head}{body}</html>\n'


def _asset(name: str) -> str:
    return (files("orchestrator.report") / "assets" / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    """The script that draws the figures. Of its bundles the package brings one, with every kind of trace (5 MB)."""
    from plotly.offline import get_plotlyjs  # only where a page is made

    return str(get_plotlyjs())
