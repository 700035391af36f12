"""Several runs of one storage side by side: results, what differs in their recipes, schedules, cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.artifacts.addresses import address
from orchestrator.artifacts.store import Store
from orchestrator.errors import OptionError
from orchestrator.recipe.methods import REFERENCE
from orchestrator.report.markdown import method_rows
from orchestrator.report.page.document import document
from orchestrator.report.page.figures import methods as figures
from orchestrator.report.page.markup import Html, paragraph, picture, table, tag, words
from orchestrator.report.page.phrases import percent, schedule
from orchestrator.report.reading import read
from orchestrator.report.storage import PAGE

Content = dict[str, Any]


def compare(store: Store, ids: Sequence[str]) -> str:
    """Write ``reports/compare-<ids>.html``. Returns its address.

    Raises:
        StorageError: when fewer than two different runs are given, or one is not there.
    """
    ids = list(dict.fromkeys(ids))
    if len(ids) < 2:
        raise OptionError(f"--compare: found one run, {', '.join(ids)}; give two different ones or more")
    contents = [read(store, run) for run in ids]
    name = f"compare-{'-'.join(ids)}.html"
    store.write_text(page_of_runs(contents), "reports", name)
    return address(store, "reports", name)


def page_of_runs(contents: Sequence[Content]) -> str:
    """The page of two runs or more."""
    runs = [content["run"]["id"] for content in contents]
    said = f"{len(runs)} runs: {', '.join(f'{number}. `{run}`' for number, run in enumerate(runs, 1))}."
    header = tag("header", tag("h1", "Runs side by side"), tag("p", words(said)))
    parts = [
        ("methods", "Methods", _methods(contents)),
        ("settings", "Settings", _settings(contents)),
        ("schedule", "Schedule", _schedules(contents)),
        ("cost", "Cost", _costs(contents)),
    ]
    return document(f"{len(runs)} runs side by side", header, parts)


def _headers(contents: Sequence[Content]) -> list[Html]:
    """Each run's number and id, which leads to its own page."""
    return [
        tag("a", f"{number}. {content['run']['id']}", href=f"{content['run']['id']}/{PAGE}")
        for number, content in enumerate(contents, 1)
    ]


def _methods(contents: Sequence[Content]) -> Html:
    rows = [{row["method"]: row for row in method_rows(content["methods"])} for content in contents]
    names = list(dict.fromkeys(name for of_run in rows for name in of_run))
    tests = {content["recipe"]["dataset"]["name"] for content in contents}
    students = {content["networks"][-1]["name"] for content in contents}

    def cell(row: dict[str, Any] | None) -> str:
        if row is None or row["test_mean"] is None:
            return "-"
        spread = "" if row["test_spread"] is None else f" ± {100 * row['test_spread']:.2f}"
        return f"{100 * row['test_mean']:.2f}{spread} (n = {sum(value is not None for value in row['test'])})"

    shown = table(
        ["method", *_headers(contents)],
        [[name, *(cell(of_run.get(name)) for of_run in rows)] for name in names],
        "Test accuracy (%): mean over seeds ± sample standard deviation, and how many seeds.",
        tuple(range(len(contents) + 1)),
    )
    parts: list[Any] = [tag("h2", "Methods"), shown]
    if len(tests) > 1 or len(students) > 1:
        parts.append(
            paragraph(
                "**These runs differ in their data or their student, so their accuracies are not the same measure**: "
                f"data sets {', '.join(sorted(tests))}; students {', '.join(sorted(students))}."
            )
        )
    else:
        parts.append(
            paragraph(
                "Runs may differ in more than what you want to compare: see the settings below. Pairs of one seed are "
                "compared within a run only, on its own page."
            )
        )
    parts.append(
        picture(
            figures.points_of_runs([content["methods"] for content in contents]),
            "Every student's test accuracy, a row a method and run, by the numbers above; a bar across is the mean. "
            "Look whether a method's rows lie apart by more than its points do.",
        )
    )
    return tag("section", *parts, id="methods")


def _settings(contents: Sequence[Content]) -> Html:
    flat = [dict(_flattened(content["recipe"])) for content in contents]
    fields = list(dict.fromkeys(field for of_run in flat for field in of_run))
    differing = [field for field in fields if len({str(of_run.get(field)) for of_run in flat}) > 1]
    if not differing:
        return tag("section", tag("h2", "Settings"), paragraph("The recipes are the same."), id="settings")
    shown = table(
        ["field", *_headers(contents)],
        [[field, *(_value(of_run.get(field, "-")) for of_run in flat)] for field in differing],
        f"Fields of the recipes that differ: {len(differing)} of {len(fields)}.",
        tuple(range(len(contents) + 1)),
        long=True,
    )
    return tag("section", tag("h2", "Settings"), shown, id="settings")


def _flattened(recipe: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in recipe.items():
        if isinstance(value, dict):
            found += _flattened(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _value(value: Any) -> str:
    """A setting in short; of networks, the names."""
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    if isinstance(value, dict):
        set_here = [f"{key} {item}" for key, item in value.items() if item is not None and key != "name"]
        return f"{value.get('name', '')}{' (' + ', '.join(set_here) + ')' if set_here else ''}"
    return str(value)


def _schedules(contents: Sequence[Content]) -> Html:
    rows = []
    for content in contents:
        best, found = content["search"]["best"], content["sensitivity"].get(REFERENCE)
        said = (
            schedule(best["config"]).replace("`", "") if best and "mode" in best["config"] else "nothing was searched"
        )
        middle = f"{percent(found['first_quartile'])} to {percent(found['third_quartile'])}" if found else "-"
        accuracy = percent(best["validation_accuracy"]) if best else "-"
        rows.append([content["run"]["id"], len(content["search"]["trials"]), accuracy, middle, said])
    shown = table(
        ["run", "trials", "best validation", "middle half of the trials", "best schedule"], rows,
        f"What the search for {REFERENCE} found in each run.", (0, 4),
    )  # fmt: skip
    return tag("section", tag("h2", "Schedule"), shown, id="schedule")


def _costs(contents: Sequence[Content]) -> Html:
    kinds = list(dict.fromkeys(kind for content in contents for kind in content["cost"]["by_kind"]))

    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:,.1f}"

    rows = [[kind, *(seconds(content["cost"]["by_kind"].get(kind)) for content in contents)] for kind in kinds]
    rows.append(["in all", *(seconds(content["cost"]["slot_seconds"]) for content in contents)])
    student = [content["networks"][-1] for content in contents]
    for field, said in (("parameters", "student's parameters"), ("multiply_adds", "student's multiply-adds")):
        rows.append([said, *("-" if row[field] is None else f"{row[field]:,}" for row in student)])
    shown = table(
        ["slot-seconds", *_headers(contents)], rows,
        "What each run's artifacts took. Runs share artifacts: what both need was made once and counts in both.",
    )  # fmt: skip
    return tag("section", tag("h2", "Cost"), shown, id="cost")
