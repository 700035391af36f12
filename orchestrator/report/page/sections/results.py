"""Methods against each other, their training, and what the networks can do."""

from __future__ import annotations

from typing import Any

from orchestrator.artifacts.store import Store
from orchestrator.artifacts.trained import read_history
from orchestrator.recipe.methods import METHODS
from orchestrator.report.content.statistics import LEVEL, excludes_zero
from orchestrator.report.files import read
from orchestrator.report.markdown import MOST_VALUES, budget, coinciding_words, method_rows, seed_values
from orchestrator.report.page.figures import methods as figures
from orchestrator.report.page.markup import Html, folded, paragraph, picture, table, tag
from orchestrator.report.page.phrases import interval, percent, points


def methods_section(content: dict[str, Any], store: Store) -> Html:
    """The result: points, differences, table, curves."""
    methods = content["methods"]
    shown = [
        picture(
            figures.points(methods),
            "Test accuracy of every final student; a bar across marks a method's mean. Look whether a method's points "
            "stand apart from another's: where they mix, the seeds decide as much as the method.",
        ),
        _table(content),
        *map(paragraph, coinciding_words(content)),
        _differences(content),
        picture(
            figures.training_curves(_histories(methods, store)),
            "Validation accuracy while students train: the line is the mean over seeds, the band goes from the lowest "
            "seed to the highest. Look who is ahead early, and whether the lines still rise at the end. A click on a "
            "name in the legend hides or shows a method, a double click shows it alone.",
        ),
    ]
    return tag("section", tag("h2", "Methods"), *shown, id="methods")


def _histories(methods: list[dict[str, Any]], store: Store) -> dict[str, list[list[tuple[int, float]]]]:
    found: dict[str, list[list[tuple[int, float]]]] = {}
    for row in methods:
        history = read(store, row["artifact"], read_history) if row["steps"] is not None else None
        if history:
            curve = [(line["step"], line["validation_accuracy"]) for line in history]
            found.setdefault(row["method"], []).append(curve)
    return found


def _table(content: dict[str, Any]) -> Html:
    rows = [
        [
            row["method"],
            percent(row["test_mean"]),
            percent(row["test_spread"]),
            _each_seed(row),
            percent(row["validation_mean"]),
            len(budget(content, row["method"])),
            METHODS[row["method"]].taught_by,
        ]
        for row in method_rows(content["methods"])
    ]
    seeds = content["seeds"]["students"]
    each = "each seed" if len(seeds) > MOST_VALUES else f"seeds {', '.join(map(str, seeds))}"
    return table(
        ["method", "test, mean", "± seeds", each, "validation, mean", "trials", "the student is taught by"],
        rows,
        "Accuracy of the final students. ± is the sample standard deviation over seeds; trials is how many trials of a "
        "search chose the method's settings.",
        text_columns=(0, 6),
    )


def _each_seed(row: dict[str, Any]) -> str:
    """Every seed's value; where there are many, behind their range."""
    if len(row["test"]) <= MOST_VALUES:
        return ", ".join(percent(value) for value in row["test"])
    values = ", ".join(f"{seed}: {percent(value)}" for seed, value in zip(row["seeds"], row["test"], strict=True))
    return folded(seed_values(row["test"]), tag("p", values), key=f"seeds-{row['method']}")


def _differences(content: dict[str, Any]) -> Html:
    rows = content["comparisons"]
    if not rows or all(row["difference"] is None for row in rows):
        return Html("")
    verdicts = {True: "larger than the seeds' spread explains", False: "within the seeds' spread", None: "not known"}
    reference = rows[0]["reference"]
    shown = table(
        [f"{reference} minus", "points", f"{LEVEL:.0%} interval", "s.d. of the pairs", "pairs", "the difference is"],
        [
            [
                row["method"], points(row["difference"]), interval(row),
                "-" if row["spread"] is None else f"{100 * row['spread']:.2f}", row["pairs"],
                verdicts[excludes_zero(row)],
            ]
            for row in rows
        ],
        f"Test accuracy of {reference} less that of each other method, in percentage points.",
        text_columns=(0, 5),
    )  # fmt: skip
    explained = paragraph(
        "Students of one seed start from the same weights and see the same batches, so they are compared pair by pair; "
        "the interval is Student's t for the mean of the pairs. It takes the pairs' differences for normal, which a "
        f"few seeds can't show, and each interval stands alone: of {len(rows)}, one may leave zero out by chance. All "
        "students are tested on the same images, and how other images would have come out is not in it."
    )
    drawn = picture(
        figures.differences(rows),
        f"The lead of {reference} over each other method with its interval. An interval that crosses the dotted line "
        "at zero leaves open which of the two is better.",
    )
    return tag("div", tag("h3", f"{reference} against each other method"), shown, explained, drawn)


def capacity_section(content: dict[str, Any]) -> Html:
    """The networks: how large they are, and what they can do."""
    experts = content["experts_by_stratum"]["experts"]
    drawn = picture(
        figures.capacity(content["networks"], content["methods"], experts),
        "Test accuracy against the number of parameters. Experts are circles; open ones are TAs of another topology. "
        "The column at the left is the student, one mark a method: the higher above `labels`, the more teaching gave; "
        "the nearer to the experts, the more of the capacity gap is closed.",
    )
    teacher = content["networks"][0]

    def against(row: dict[str, Any], field: str) -> str:
        return f"{row[field]:,}" if row[field] is not None else "-"

    def share(row: dict[str, Any], field: str) -> str:
        return percent(row[field] / teacher[field], 1) if row[field] is not None and teacher[field] else "-"

    rows = [
        [
            row["name"], row["role"], against(row, "parameters"), share(row, "parameters"),
            against(row, "multiply_adds"), share(row, "multiply_adds"),
            percent(row["validation_accuracy"]), percent(row["test_accuracy"]),
        ]
        for row in content["networks"]
    ]  # fmt: skip
    headers = ["network", "role", "parameters", "of the teacher's", "multiply-adds", "of the teacher's",
               "validation", "test"]  # fmt: skip
    shown = table(
        headers, rows, "The networks. The student's accuracy is that of the students taught by labels alone.", (0, 1)
    )
    return tag("section", tag("h2", "Capacity"), drawn, shown, id="capacity")
