"""The questions that a run is made to answer, each with its answer in words: the first part of the page."""

from __future__ import annotations

from typing import Any

from orchestrator.recipe.methods import BASELINE, METHODS, REFERENCE
from orchestrator.report.content.statistics import (
    at_first_rung,
    baseline_leads,
    excludes_zero,
    paired,
    ranking,
    t_quantile,
)
from orchestrator.report.markdown import MOST_VALUES, budget
from orchestrator.report.page.markup import Html, paragraph, tag
from orchestrator.report.page.phrases import duration, interval, listed, percent, schedule
from orchestrator.report.page.scored import Scored

SHOWN = 4  # nodes that are named


def answers(content: dict[str, Any], found: Scored | None, importances: dict[str, float]) -> Html:
    """The eight questions, with where on the page there is more."""
    asked = [
        ("Which method won?", _winner(content), "methods"),
        ("Is the difference larger than the spread over seeds?", _difference(content), "methods"),
        ("Which pacing schedule?", _schedule(content), "schedule"),
        ("How sensitive is the result to the schedule?", _sensitivity(content, importances), "search"),
        ("Which expert taught which images?", _experts(content, found), "experts"),
        ("What ran when, and where?", _when(content), "timeline"),
        ("What did it cost?", _cost(content), "cost"),
        ("How to have it again?", _again(content), "again"),
    ]
    items = [
        tag(
            "li",
            tag("h3", question),
            *(paragraph(text) for text in texts),
            tag("p", tag("a", "More", href=f"#{place}", aria_label=f"More on: {question}"), class_="more"),
        )
        for question, texts, place in asked
    ]
    return tag("section", tag("h2", "Answers"), tag("ol", *items, class_="answers"), id="answers")


def _winner(content: dict[str, Any]) -> list[str]:
    ranked = ranking(content["methods"])
    if not ranked:
        return ["No final student has been tested yet."]
    best = ranked[0]
    seeds = sum(value is not None for value in best["test"])
    text = f"**{best['method']}** has the highest mean test accuracy: **{percent(best['test_mean'])}** over {seeds} "
    text += f"{'seed' if seeds == 1 else 'seeds'}"
    text += f" (sample standard deviation {percent(best['test_spread'])})" if best["test_spread"] is not None else ""
    names = [row["method"] for row in ranked]
    if REFERENCE in names[1:]:
        place = names.index(REFERENCE)
        row = ranked[place]
        text += f". `{REFERENCE}` has {percent(row['test_mean'])}"
        text += f" (s.d. {percent(row['test_spread'])})" if row["test_spread"] is not None else ""
        text += f": place {place + 1} of {len(names)}"
    elif len(ranked) > 1:
        text += f"; next is `{names[1]}` with {percent(ranked[1]['test_mean'])}"
    missing = [row for row in content["methods"] if row["test_accuracy"] is None]
    more = [f"{len(missing)} of {len(content['methods'])} students are missing, so this may change."] if missing else []
    return [text + ".", *_what_to_try(content), *more]


def _what_to_try(content: dict[str, Any]) -> list[str]:
    """Advice where teaching did not pay."""
    methods = content["methods"]
    if not baseline_leads(methods):
        return []
    taught = [name for name in dict.fromkeys(row["method"] for row in methods) if METHODS[name].searched_as]
    fixed = [name for name in taught if not budget(content, name)]
    tries = []
    *experts, student = content["networks"]
    best = max((row["validation_accuracy"] or 0.0 for row in experts), default=0.0)
    if student["validation_accuracy"] is not None and best <= student["validation_accuracy"]:
        tries.append("better experts first: on validation images none is better than the student on labels")
    if fixed:
        tries.append(
            f"searching temperature and weight of {listed([f'`{name}`' for name in fixed])} (`search.trials`, and "
            "`search.methods` where it is set): fixed ones can cost more than a method is worth"
        )
    else:
        tries.append("more trials, or a wider `search.space` for `temperature` and `kd_weight`")
    tries.append("more steps for the students (`training.steps`)")
    return [f"**No taught method beats `{BASELINE}` here.** What to try: {'; '.join(tries)}."]


def _difference(content: dict[str, Any]) -> list[str]:
    ranked = ranking(content["methods"])
    if len(ranked) < 2:
        return ["There are no two methods to compare yet."]
    names = [row["method"] for row in ranked]
    best, other = names[0], REFERENCE if REFERENCE in names[1:] else names[1]
    lead = paired(content["methods"], best, other)
    apart = excludes_zero(lead)
    if lead["difference"] is None:
        return [f"It can't be told yet: `{best}` and `{other}` have no seed in common."]
    if apart is None:
        why = "one seed has no spread" if lead["pairs"] == 1 else "the lead is the same with every seed, by chance"
        return [
            f"It can't be told: {why}. `{best}` leads `{other}` by {100 * lead['difference']:.2f} points. Give `seeds` "
            "three values or more."
        ]
    text = (
        f"**{'Yes' if apart else 'No'}.** `{best}` leads `{other}` by {100 * lead['difference']:.2f} points; paired by "
    )
    text += f"seed ({lead['pairs']} pairs), the 95 % interval of that lead is {interval(lead)}, which "
    text += "leaves zero out" if apart else "includes zero"
    said = [text + "."]
    spreads = [row["test_spread"] for row in ranked if row["test_spread"] is not None]
    rows = content["comparisons"]
    clear = [row["method"] for row in rows if excludes_zero(row)]
    if spreads:
        said.append(
            f"Over seeds, a method's accuracy has a sample standard deviation of {percent(min(spreads))} to "
            f"{percent(max(spreads))}."
        )
    if any(row["low"] is not None for row in rows):
        which = listed([f"`{name}`" for name in clear]) if clear else "no other method"
        said.append(f"By the same intervals `{rows[0]['reference']}` differs clearly from {which}.")
    if lead["pairs"] < 5:
        said.append(
            f"{lead['pairs']} seeds are few: with so many, a lead must be about "
            f"{t_quantile(lead['pairs'] - 1) / lead['pairs'] ** 0.5:.1f} times its own spread over seeds to show."
        )
    return said


def final_curriculum(content: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """The curriculum that final students had, and their method; ces_kd's before its controls'."""
    rows = [row for row in content["methods"] if row["taught_with"] and row["taught_with"]["curriculum"]]
    rows.sort(key=lambda row: row["method"] != REFERENCE)
    return (rows[0]["taught_with"]["curriculum"], rows[0]["method"]) if rows else None


def _schedule(content: dict[str, Any]) -> list[str]:
    best, trials = content["search"]["best"], content["search"]["trials"]
    final = final_curriculum(content)
    if best:
        config = best["config"]
        settings = (
            schedule(config) if "mode" in config else ", ".join(f"{key} {value}" for key, value in config.items())
        )
        return [
            f"Best of {len(trials)} trials on validation images: {settings}.",
            f"Temperature {config.get('temperature', '-')}, weight of distillation {config.get('kd_weight', '-')}; "
            f"validation accuracy {percent(best['validation_accuracy'])} after {best['steps']} steps.",
            *_best_with_pacing(best, trials),
        ]
    if trials:
        return [f"The search goes on: {len(trials)} trials so far."]
    if final:
        return [f"Nothing was searched. As the recipe says: {schedule(final[0])}."]
    wanted = any(METHODS[row["method"]].dealing for row in content["methods"])
    return ["No student with a curriculum is there yet." if wanted else "No method of this recipe has a curriculum."]


def _best_with_pacing(best: dict[str, Any], trials: list[dict[str, Any]]) -> list[str]:
    """Where the best trial has no pacing: what pacing did at its best."""
    steps, found = at_first_rung(trials)
    paced = [(trial, value) for trial, value in found if trial["config"].get("mode", "static") != "static"]
    own = next((value for trial, value in found if trial["id"] == best["id"]), None)
    if best["config"].get("mode") != "static" or not paced or own is None:
        return []
    trial, value = max(paced, key=lambda item: item[1])
    return [
        f"The best trial with pacing, {trial['id']}, had {percent(value)} after {steps} steps, where this one had "
        f"{percent(own)}: {schedule(trial['config'])}."
    ]


def _sensitivity(content: dict[str, Any], importances: dict[str, float]) -> list[str]:
    found = content["sensitivity"].get(REFERENCE)
    if not found:
        return ["Nothing was searched, so it is not known." if not content["searches"] else "No trial has ended yet."]
    width = found["high"] - found["low"]
    text = (
        f"Over {found['trials']} trials, all compared after {found['steps']} steps, validation accuracy goes from "
        f"{percent(found['low'])} to {percent(found['high'])} (a range of {100 * width:.2f} points); the middle half "
        f"lies between {percent(found['first_quartile'])} and {percent(found['third_quartile'])}"
    )
    spread = found["seed_spread"]
    if spread:
        text += f". Over seeds, `{REFERENCE}`'s final students have a standard deviation of {percent(spread)}"
        middle = found["third_quartile"] - found["first_quartile"]
        text += f": the range is {width / spread:.1f} times that, the middle half {middle / spread:.1f} times"
    said = [text + "."]
    steps = max((row["steps"] or 0 for row in content["methods"]), default=0)
    if spread and steps > found["steps"]:
        said.append(
            f"Final students train for {steps} steps; shorter trainings differ more, so this may overstate what "
            "the schedule decides in the end."
        )
    matters = [f"`{name}` {percent(share, 0)}" for name, share in list(importances.items())[:3] if share >= 0.01]
    if matters:
        said.append(f"What decides most whether a trial is among the best: {listed(matters)}.")
    return said


def _experts(content: dict[str, Any], found: Scored | None) -> list[str]:
    strata = content["experts_by_stratum"]
    shares = strata["methods"].get(REFERENCE)
    if not shares:
        wanted = any(row["method"] == REFERENCE for row in content["methods"])
        return ["No student of `ces_kd` is there yet." if wanted else "`ces_kd` is not among the recipe's methods."]
    parts = []
    for number, row in enumerate(shares):
        share, name = max(zip(row, strata["experts"], strict=True))
        where = (
            "the easiest" if number == 0 else "the hardest" if number == len(shares) - 1 else f"stratum {number + 1}"
        )
        parts.append(f"{where} by `{name}` ({percent(share, 0)})" if share else f"{where} by nobody")
    text = f"By difficulty, images fall into {len(shares)} equal strata. For `ces_kd`, most of each was taught thus: "
    said = [text + listed(parts) + "."]
    right = found.right_by_stratum() if found else None
    if found is not None and right is not None:
        own = [percent(right[number][number], 0) for number in range(len(shares))]
        teacher = [percent(right[number][-1], 0) for number in range(len(shares))]
        said.append(
            f"From easiest to hardest, each stratum's own expert is right on {listed(own)} of it; the teacher, "
            f"`{found.experts[-1]}`, on {listed(teacher)}."
        )
    return said


def _when(content: dict[str, Any]) -> list[str]:
    made = [stage for stage in content["stages"] if stage["start"] is not None]
    if not made:
        return ["Nothing has been done yet."]
    kept = sum(stage["reused"] for stage in made)
    nodes = sorted({stage["node"] for stage in made})
    wall = content["wall"]
    text = f"{len(made)} of {len(content['stages'])} stages are done, {kept} of them kept from an earlier run, on "
    shown = ", ".join(nodes[:SHOWN]) + (", ..." if len(nodes) > SHOWN else "")
    text += f"{len(nodes)} {'node' if len(nodes) == 1 else 'nodes'} ({shown}). "
    text += f"At least one was at work for {duration(wall['busy_seconds'])}, {wall['overlap']:.1f} at once on average"
    said = [text + "."]
    timing = content["schedule"]
    if timing and timing["ratio"] and not content["run"]["live"]:
        said.append(
            f"The last run with something to do took {duration(timing['makespan_seconds'])} for {timing['stages']} "
            f"stages, {timing['ratio']:.2f} times the least possible on its {timing['slots']:g} slots."
        )
    return said


def _cost(content: dict[str, Any]) -> list[str]:
    cost = content["cost"]
    if not cost["by_kind"]:
        return ["Nothing has been spent yet."]
    dearest = sorted(cost["by_kind"].items(), key=lambda item: -item[1])
    parts = [f"{kind} {percent(seconds / max(cost['slot_seconds'], 1e-9), 0)}" for kind, seconds in dearest[:3]]
    said = [
        f"**{cost['slot_seconds']:,.0f} slot-seconds** ({duration(cost['slot_seconds'])} on one slot): {listed(parts)}."
    ]
    teacher, student = content["networks"][0], content["networks"][-1]
    if teacher["parameters"] and student["parameters"]:
        said.append(
            f"The student `{student['name']}` has {student['parameters']:,} parameters and "
            f"{student['multiply_adds']:,} multiply-adds an image: {teacher['parameters'] / student['parameters']:.0f} "
            f"and {teacher['multiply_adds'] / student['multiply_adds']:.0f} times fewer than the teacher "
            f"`{teacher['name']}`."
        )
    return said


def _again(content: dict[str, Any]) -> list[str]:
    command = content["run"]["command"]
    versions = ", ".join(
        f"{name} {number}" for name, number in content["versions"].items() if name in ("python", "torch")
    )
    said = f"Type `{command}`" if command else "Save the recipe that stands at the end of the page, and run it"
    seeds = content["seeds"]["students"]
    if len(seeds) > MOST_VALUES:
        seeds = [*seeds[:3], "...", f"{seeds[-1]} ({len(seeds)} of them)"]
    return [
        f"{said}. Seeds of the students: {', '.join(map(str, seeds))}. Made with {versions or 'no version known yet'}."
    ]
