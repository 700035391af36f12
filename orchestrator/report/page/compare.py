"""Several runs of one storage side by side: results, differences of their recipes, schedules, cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.artifacts.addresses import address
from orchestrator.artifacts.store import Store
from orchestrator.errors import OptionError
from orchestrator.recipe.methods import REFERENCE
from orchestrator.report.content.schema import Report
from orchestrator.report.content.statistics import method_rows
from orchestrator.report.page.answers import Values
from orchestrator.report.page.document import document, part
from orchestrator.report.page.figures.methods import points
from orchestrator.report.storage import PAGE, read


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


def page_of_runs(contents: Sequence[Report]) -> str:
    """The page of two runs or more."""
    runs = [content["run"]["id"] for content in contents]
    links = [{"text": f"{number}. {run}", "href": f"{run}/{PAGE}"} for number, run in enumerate(runs, 1)]
    sections = {"methods": _methods, "settings": _settings, "schedule": _schedules, "cost": _costs}
    parts = [
        part(f"compare_{name}", name.capitalize(), {"links": links, **values(contents)}, anchor=name)
        for name, values in sections.items()
    ]
    return document("compare.html", f"{len(runs)} runs side by side", parts, runs=runs)


def _methods(contents: Sequence[Report]) -> Values:
    by_run = [{row["method"]: row for row in method_rows(content["methods"])} for content in contents]
    names = dict.fromkeys(name for rows in by_run for name in rows)
    return {
        "rows": [[name, *(rows.get(name) for rows in by_run)] for name in names],
        "datasets": sorted({content["recipe"]["dataset"]["name"] for content in contents}),
        "students": sorted({content["networks"][-1]["name"] for content in contents}),
        "points": points(*(content["methods"] for content in contents)),
    }


def _settings(contents: Sequence[Report]) -> Values:
    flat = [dict(_flattened(content["recipe"])) for content in contents]
    fields = dict.fromkeys(field for of_run in flat for field in of_run)
    rows = [
        [field, *(_value(of_run.get(field, "-")) for of_run in flat)]
        for field in fields
        if len({str(of_run.get(field)) for of_run in flat}) > 1
    ]
    return {"rows": rows, "fields": len(fields)}


def _flattened(fields: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in fields.items():
        if isinstance(value, dict):
            found += _flattened(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _value(value: object) -> str:
    """A setting in short; of networks, the names."""
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    if isinstance(value, dict):
        set_here = [f"{key} {item}" for key, item in value.items() if item is not None and key != "name"]
        return f"{value.get('name', '')}{' (' + ', '.join(set_here) + ')' if set_here else ''}"
    return str(value)


def _schedules(contents: Sequence[Report]) -> Values:
    return {"rows": [{**content, "found": content["sensitivity"].get(REFERENCE)} for content in contents]}


def _costs(contents: Sequence[Report]) -> Values:
    costs = [content["cost"] for content in contents]
    students = [content["networks"][-1] for content in contents]
    kinds = dict.fromkeys(kind for cost in costs for kind in cost["by_kind"])
    return {"costs": costs, "students": students, "kinds": list(kinds)}
