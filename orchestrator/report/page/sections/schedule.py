"""The pacing schedule that was chosen, and the search that chose it."""

from __future__ import annotations

from typing import Any

from orchestrator.recipe.methods import METHODS
from orchestrator.report.page.answers import final_curriculum
from orchestrator.report.page.figures.pacing import pacing_curves
from orchestrator.report.page.figures.trials import drawn_by_optuna
from orchestrator.report.page.markup import Html, folded, paragraph, picture, table, tag
from orchestrator.report.page.phrases import percent, schedule


def schedule_section(content: dict[str, Any]) -> Html:
    """Pacing curves, and each method's settings."""
    final = final_curriculum(content)
    search = content["search"]
    if not final and not search["trials"]:
        return Html("")
    curves = picture(
        pacing_curves(search["trials"], search["best"], final[0] if final else None, final[1] if final else ""),
        "What share of the curriculum is in play as training goes on, a curve a trial, coloured by its validation "
        "accuracy from blue (lowest) to orange (highest). The thick curve is the best trial, the dashed one what final "
        "students had. A curve along the top is `static`: everything in play from the start. Look whether orange "
        "curves have a form in common; where colours mix, the form matters little.",
    )
    chosen = []
    for method in dict.fromkeys(row["method"] for row in content["methods"]):
        row = next((row for row in content["methods"] if row["method"] == method and row["taught_with"]), None)
        if row and METHODS[method].searched_as:
            taught = row["taught_with"]
            words = schedule(taught["curriculum"]).replace("`", "") if taught["curriculum"] else "no curriculum"
            chosen.append([method, f"{taught['temperature']:g}", f"{taught['kd_weight']:g}", words])
    shown = (
        table(
            ["method", "temperature", "weight", "curriculum"],
            chosen,
            "What the final students were taught with.",
            (0, 3),
        )
        if chosen
        else Html("")
    )
    return tag("section", tag("h2", "Schedule"), curves, shown, id="schedule")


def search_section(content: dict[str, Any]) -> Html:
    """Each search: its history, what mattered, every trial."""
    parts = [_search(content, method, search) for method, search in content["searches"].items() if search["trials"]]
    return tag("section", tag("h2", "Search"), *parts, id="search") if parts else Html("")


def _search(content: dict[str, Any], method: str, search: dict[str, Any]) -> Html:
    trials = search["trials"]
    drawn = drawn_by_optuna(trials, space_of(content, method))
    found = content["sensitivity"][method]
    parts: list[Any] = [tag("h3", f"Search for {method}")]
    if search["best"] is None:
        parts.append(paragraph(f"It goes on: {len(trials)} trials so far."))
    if found:
        spread = "-" if found["seed_spread"] is None else percent(found["seed_spread"])
        row = [found["trials"], *(percent(found[name]) for name in
               ("low", "first_quartile", "median", "third_quartile", "high")), spread]  # fmt: skip
        parts.append(
            table(
                ["trials", "lowest", "first quartile", "median", "third quartile", "highest", "± seeds"], [row],
                f"Validation accuracy of the trials after {found['steps']} steps, and beside it the standard "
                f"deviation of {method}'s final students over seeds.", (),
            )
        )  # fmt: skip
    steps = f"after {found['steps']} steps, which every trial has reached" if found else ""
    parts += [
        picture(
            drawn.get("history"),
            f"Validation accuracy of each trial {steps}, in the order of proposal, and the best so far. Look whether "
            "the best was found early: then more trials may hardly help.",
        ),
        picture(
            drawn.get("importances"),
            "How much each setting decides whether a trial is among the best. With few trials this is a hint, not a "
            "measurement.",
        ),
        picture(
            drawn.get("parallel"),
            "Every trial as a line through its settings, coloured by its validation accuracy. Follow the orange lines: "
            "where they run through one point, that setting matters. `None`: the trial has no such setting.",
            wide=True,
        ),
        folded(f"All {len(trials)} trials", _trials(trials), key=f"trials-{method}"),
    ]
    return tag("div", *parts)


def space_of(content: dict[str, Any], method: str) -> dict[str, Any]:
    """What a method's search may choose."""
    space: dict[str, Any] = content["recipe"]["search"]["space"]
    return space if METHODS[method].dealing else {name: space[name] for name in ("temperature", "kd_weight")}


def _trials(trials: list[dict[str, Any]]) -> Html:
    names = list(dict.fromkeys(name for trial in trials for name in trial["config"]))
    ranked = sorted(trials, key=lambda trial: (-trial["steps"], -(trial["validation_accuracy"] or 0)))
    rows = [
        [
            trial["id"], percent(trial["validation_accuracy"]), trial["steps"], trial["status"],
            *(trial["config"].get(name, "-") for name in names), trial.get("error", ""),
        ]
        for trial in ranked
    ]  # fmt: skip
    words = tuple(place + 4 for place, name in enumerate(names) if name in ("mode", "selector", "family"))
    return table(
        ["trial", "validation", "steps", "status", *names, "error"], rows,
        "Every trial, those of the most steps first, then by validation accuracy.", (0, 3, *words, 4 + len(names)),
    )  # fmt: skip
