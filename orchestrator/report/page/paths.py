"""The page of a comparison of TA paths: one file with everything in it, of the same parts as a run's page."""

from __future__ import annotations

from orchestrator.report.content.paths_schema import PathsReport
from orchestrator.report.page.document import document, part
from orchestrator.report.page.figures.paths import accuracy_against_cost
from orchestrator.report.path_words import coverage, gigas, result, title

SECTIONS = {"answers": "Answers", "table": "Paths", "again": "Again"}


def page_of_paths(content: PathsReport) -> str:
    """The page, whole or not."""
    values = {
        **content, "result": result(content), "coverage": coverage(content), "gigas": gigas, "title": title,
        "picture_of_paths": accuracy_against_cost(content),
    }  # fmt: skip
    parts = [part(f"paths_{name}", words, values, anchor=name) for name, words in SECTIONS.items()]
    return document("paths.html", f"{content['name']}: TA paths", parts, **content)
