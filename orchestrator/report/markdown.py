"""``report.md`` from the content of ``report.json`` alone, and the tables that stand in a terminal as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from orchestrator.recipe.methods import BASELINE, method_of
from orchestrator.report import hypothesis_words
from orchestrator.report.content.fidelity import calibration_rows, fidelity_rows
from orchestrator.report.content.schema import Report, Search, StudentRow, Trial
from orchestrator.report.content.significance import main_comparison
from orchestrator.report.content.statistics import budget, method_rows
from orchestrator.report.templates import fill, table
from orchestrator.report.words import MOST_VALUES, OTHER_WEIGHTS, hundredths, notes, seed_values

LEAST_COLUMNS = 3  # of the methods' table: method, mean and spread


def methods_table(
    students: Sequence[StudentRow], searches: Mapping[str, Search], width: int | None = None,
    keep: Literal["best", "last"] = "best",
) -> str:  # fmt: skip
    """The methods' results; with ``width``, in characters, without the last columns where it would be wider.

    ``keep`` is the recipe's ``training.keep``: the mean of the weights that it leaves out has a column of its own.
    """
    rows: list[list[Any]] = [
        [
            row["method"], hundredths(row["test_mean"]), hundredths(row["test_spread"]), seed_values(row["test"]),
            hundredths(row["other_mean"]), hundredths(row["validation_mean"]), len(budget(searches, row["method"])),
            method_of(row["method"]).taught_by,
        ]
        for row in method_rows(students)
    ]  # fmt: skip
    other = f"{OTHER_WEIGHTS[keep]} %"
    headers = ["method", "test %", "± seeds", "each seed", other, "validation %", "trials", "taught by"]
    while True:
        text = table(headers, [row[: len(headers)] for row in rows])
        if width is None or len(text.partition("\n")[0]) <= width or len(headers) == LEAST_COLUMNS:
            return text
        headers.pop()


def _ranked(trials: Sequence[Trial]) -> list[Trial]:
    return sorted(trials, key=lambda trial: -(trial["validation_accuracy"] or 0))


def markdown(content: Report) -> str:
    """``report.md``."""
    students, keep = content["methods"], content["recipe"]["training"]["keep"]
    known = content["difficulty"].get("severity_correlation", {})
    return fill(
        "orchestrator.report", "report.md.jinja", **content, baseline=BASELINE,
        methods_table=methods_table(students, content["searches"], keep=keep),
        other=OTHER_WEIGHTS[keep],
        notes=notes(content),
        main=main_comparison(content["comparisons"]),
        fidelity=fidelity_rows(students),
        calibrated=calibration_rows(content["networks"], students),
        ranked={method: _ranked(search["trials"]) for method, search in content["searches"].items()},
        conclusions=hypothesis_words.sentences(measured) if (measured := content["hypothesis"]) else [],
        gain_rows=hypothesis_words.gain_rows(measured) if measured else [],
        cell_rows=hypothesis_words.cell_rows(measured) if measured else [],
        many=[row for row in method_rows(students) if len(row["test"]) > MOST_VALUES],
        correlations=sorted(known.items(), key=lambda item: -(item[1] or 0)),
        time_spent={name: seconds for name, seconds in content["spent"].items() if seconds},
        first=min((stage["start"] for stage in content["stages"] if stage["start"]), default=0.0),
    )  # fmt: skip
