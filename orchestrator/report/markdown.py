"""The report in Markdown: ``report.md`` and its tables, from the content of ``report.json`` alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.recipe.methods import METHODS

MOST_VALUES = 8  # of seeds, that a table shows each
LEAST_COLUMNS = 3  # of the methods' table: method, mean and spread


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def method_rows(methods: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a method, in recipe order: mean, sample standard deviation and values of the test accuracy over seeds.

    A seed whose student is missing counts in neither, and has None for its value.
    """
    rows = []
    for method in dict.fromkeys(row["method"] for row in methods):
        mine = [row for row in methods if row["method"] == method]
        test = [row["test_accuracy"] for row in mine if row["test_accuracy"] is not None]
        validation = [row["validation_accuracy"] for row in mine if row["validation_accuracy"] is not None]
        rows.append(
            {
                "method": method,
                "test_mean": mean(test),
                "test_spread": statistics.stdev(test) if len(test) > 1 else None,
                "test": [row["test_accuracy"] for row in mine],
                "validation_mean": mean(validation),
                "seeds": [row["seed"] for row in mine],
            }
        )
    return rows


def percent(value: float | None) -> str:
    """An accuracy in [0, 1] as per cent."""
    return "-" if value is None else f"{100 * value:.2f}"


def seed_values(values: Sequence[float | None]) -> str:
    """Returns each seed's accuracy as per cent; of more than ``MOST_VALUES`` the range and the number."""
    if len(values) <= MOST_VALUES:
        return ", ".join(percent(value) for value in values)
    known = [value for value in values if value is not None]
    count = f"{len(known)} of {len(values)}" if len(known) < len(values) else str(len(values))
    return f"{percent(min(known))} to {percent(max(known))} ({count} seeds)" if known else f"- ({count} seeds)"


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table whose columns also line up as plain text."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(header), 3, *(len(row[i]) for row in cells)) for i, header in enumerate(headers)]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"  # noqa: E731
    return "\n".join([line(headers), line(["-" * width for width in widths]), *map(line, cells)])


def methods_table(content: dict[str, Any], width: int | None = None) -> str:
    """The methods' results; with ``width``, in characters, without the last columns where it would be wider."""
    rows = []
    for row in method_rows(content["methods"]):
        spread = "-" if row["test_spread"] is None else percent(row["test_spread"])
        trials = len(budget(content, row["method"]))
        rows.append(
            [
                row["method"], percent(row["test_mean"]), spread, seed_values(row["test"]),
                percent(row["validation_mean"]), trials, METHODS[row["method"]].taught_by,
            ]
        )  # fmt: skip
    headers = ["method", "test %", "± seeds", "each seed", "validation %", "trials", "taught by"]
    while True:
        text = table(headers, [row[: len(headers)] for row in rows])
        if width is None or len(text.partition("\n")[0]) <= width or len(headers) == LEAST_COLUMNS:
            return text
        headers.pop()


def coinciding_words(content: dict[str, Any]) -> list[str]:
    """A sentence for each method whose students are those of another one."""
    return [
        f"`{method}` is the same as `{earlier}` on this ladder: its students were trained once and are shown twice."
        for method, earlier in content.get("coinciding", {}).items()
    ]


def budget(content: dict[str, Any], method: str) -> list[Any]:
    """The trials whose outcome chose a method's settings."""
    return content["searches"].get(METHODS[method].searched_as, {"trials": []})["trials"]


def markdown(content: dict[str, Any]) -> str:
    """``report.md``."""
    run, parts = content["run"], []
    parts.append(
        f"# {run['name']}\n\nRun `{run['id']}`{'' if run['complete'] else ' (not complete: some stages failed)'}."
    )
    if content["warnings"]:
        parts.append("## Warnings\n\n" + "\n".join(f"- {text}." for text in content["warnings"]))
    parts.append(
        "## Methods\n\nTest accuracy of the final student, in per cent: mean over seeds, sample standard deviation "
        "over seeds, each seed's value. Validation accuracy chose the weights; the test set was used once for each "
        "student. `trials` is how many trials of a search chose the method's settings.\n\n"
        + "\n\n".join([methods_table(content), *coinciding_words(content)])
    )
    many = [row for row in method_rows(content["methods"]) if len(row["test"]) > MOST_VALUES]
    if many:
        parts.append("Each seed's value, in the order of the recipe's seeds:")
        parts.append("\n".join(f"- `{row['method']}`: {', '.join(map(percent, row['test']))}" for row in many))
    parts.append(
        "## Networks\n\nThe student's row is the student taught by labels alone.\n\n"
        + table(
            ["network", "role", "parameters", "multiply-adds", "validation %", "test %"],
            [
                [
                    row["name"],
                    row["role"],
                    _count(row["parameters"]),
                    _count(row["multiply_adds"]),
                    percent(row["validation_accuracy"]),
                    percent(row["test_accuracy"]),
                ]
                for row in content["networks"]
            ],
        )
    )
    for method, search in content["searches"].items():
        parts.append(_search_part(method, search))
    if content["difficulty"]:
        parts.append(_difficulty_part(content))
    if content["experts_by_stratum"]["methods"]:
        parts.append(_strata_part(content["experts_by_stratum"]))
    parts.append(_time_part(content))
    wall = content["wall"]
    parts.append(
        f"## Stages\n\n{wall['work_seconds']:.0f} s of work in {wall['busy_seconds']:.0f} s with at least one stage at "
        f"work: {wall['overlap']:.2f} stages at once. Times are those of the work that made the artifact; seconds "
        f"count from the first start.\n\n" + _stages_table(content["stages"])
    )
    again = "\n".join(f"- {name}: {value}" for name, value in content["seeds"].items())
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    parts.append(
        f"## To have it again\n\nThe resolved recipe stands in `report.json`. Seeds:\n\n{again}\n\n"
        f"Versions: {versions}."
    )
    return "\n\n".join(parts) + "\n"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _search_part(method: str, search: dict[str, Any]) -> str:
    best = search["best"]
    if best is None:
        return f"## Search for {method}\n\nNot finished."
    ranked = sorted(search["trials"], key=lambda trial: -(trial["validation_accuracy"] or 0))
    settings = ", ".join(f"{key} {value}" for key, value in best["config"].items())
    return (
        f"## Search for {method}\n\nBest of {len(search['trials'])} trials by validation accuracy: {settings}.\n\n"
        + table(
            ["trial", "validation %", "steps", "status", "settings"],
            [
                [
                    trial["id"],
                    percent(trial["validation_accuracy"]),
                    trial["steps"],
                    trial["status"],
                    ", ".join(f"{key} {value}" for key, value in trial["config"].items()),
                ]
                for trial in ranked
            ],
        )
    )


def _difficulty_part(content: dict[str, Any]) -> str:
    difficulty = content["difficulty"]
    text = f"## Difficulty\n\nImages are ordered by `{content['recipe']['difficulty']['scorer']}`."
    right = ", ".join(f"{name} {percent(share)}" for name, share in difficulty["experts_right"].items())
    text += f" Experts right on the training images (%): {right}."
    if "severity_correlation" in difficulty:
        rows = sorted(difficulty["severity_correlation"].items(), key=lambda item: -(item[1] or 0))
        text += "\n\nRank correlation of each difficulty with the known severity of the images:\n\n"
        shown = [[name, "-" if value is None else f"{value:.3f}"] for name, value in rows]
        text += table(["difficulty", "correlation"], shown)
    return text


def _strata_part(strata: dict[str, Any]) -> str:
    parts = [
        "## Experts by stratum\n\nShare of each stratum's images that each expert taught, over all steps and seeds."
    ]
    count = len(strata["experts"])
    for method, shares in strata["methods"].items():
        rows = [
            [f"{number + 1}{' (easiest)' if number == 0 else ' (hardest)' if number == count - 1 else ''}",
             *(f"{100 * share:.1f}" for share in row)]
            for number, row in enumerate(shares)
        ]  # fmt: skip
        parts.append(f"`{method}`:\n\n" + table(["stratum", *(f"{name} %" for name in strata["experts"])], rows))
    return "\n\n".join(parts)


def _time_part(content: dict[str, Any]) -> str:
    text, timing = "## Time", content["schedule"]
    if timing and timing["ratio"]:
        text += (
            f"\n\nThe last run that had something to do made {timing['stages']} stages in "
            f"{timing['makespan_seconds']:.0f} s, {timing['ratio']:.2f} times the least possible, "
            f"{timing['lower_bound_seconds']:.0f} s: the greater of {timing['work_seconds']:.0f} s of work on "
            f"{timing['slots']:g} slots, process starts counted, and the critical path of "
            f"{timing['critical_path_seconds']:.0f} s ({' -> '.join(timing['critical_path'])})."
        )
    kinds = {name: spent for name, spent in content["spent"].items() if spent}
    if kinds:
        doing = list(next(iter(kinds.values())))
        rows = [[name, *(f"{100 * spent[it] / max(sum(spent.values()), 1e-9):.1f}" for it in doing),
                 f"{sum(spent.values()):.0f}"] for name, spent in kinds.items()]  # fmt: skip
        text += "\n\nWhat the time of trainings went to:\n\n"
        text += table(["networks", *(f"{it} %" for it in doing), "seconds"], rows)
    return text


def _stages_table(stages: Sequence[dict[str, Any]]) -> str:
    first = min((stage["start"] for stage in stages if stage["start"]), default=0.0)
    return table(
        ["stage", "from (s)", "to (s)", "seconds", "node", ""],
        [
            [stage["name"], f"{stage['start'] - first:.1f}", f"{stage['end'] - first:.1f}",
             f"{stage['end'] - stage['start']:.1f}", stage["node"], "kept" if stage["reused"] else ""]
            if stage["start"]
            else [stage["name"], "-", "-", "-", "-", "missing"]
            for stage in stages
        ],
    )  # fmt: skip
