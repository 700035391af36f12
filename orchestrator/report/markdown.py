"""``report.md`` from the content of ``report.json`` alone, and the tables that stand in a terminal as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.recipe.methods import method_of
from orchestrator.report.content.schema import Report, Search, StudentRow, Trial
from orchestrator.report.content.statistics import budget, method_rows
from orchestrator.report.templates import fill, table
from orchestrator.report.words import MOST_VALUES, hundredths, seed_values

LEAST_COLUMNS = 3  # of the methods' table: method, mean and spread


def methods_table(students: Sequence[StudentRow], searches: Mapping[str, Search], width: int | None = None) -> str:
    """The methods' results; with ``width``, in characters, without the last columns where it would be wider."""
    rows: list[list[Any]] = [
        [
            row["method"], hundredths(row["test_mean"]), hundredths(row["test_spread"]), seed_values(row["test"]),
            hundredths(row["validation_mean"]), len(budget(searches, row["method"])),
            method_of(row["method"]).taught_by,
        ]
        for row in method_rows(students)
    ]  # fmt: skip
    headers = ["method", "test %", "± seeds", "each seed", "validation %", "trials", "taught by"]
    while True:
        text = table(headers, [row[: len(headers)] for row in rows])
        if width is None or len(text.partition("\n")[0]) <= width or len(headers) == LEAST_COLUMNS:
            return text
        headers.pop()


def _ranked(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: -(trial["validation_accuracy"] or 0))


def markdown(content: Report) -> str:
    """``report.md``."""
    students = content["methods"]
    known = content["difficulty"].get("severity_correlation", {})
    return fill(
        "orchestrator.report", "report.md.jinja", **content,
        methods_table=methods_table(students, content["searches"]),
        ranked={method: _ranked(search["trials"]) for method, search in content["searches"].items()},
        many=[row for row in method_rows(students) if len(row["test"]) > MOST_VALUES],
        correlations=sorted(known.items(), key=lambda item: -(item[1] or 0)),
        time_spent={name: seconds for name, seconds in content["spent"].items() if seconds},
        first=min((stage["start"] for stage in content["stages"] if stage["start"]), default=0.0),
    )  # fmt: skip
