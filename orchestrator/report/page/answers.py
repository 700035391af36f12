"""The values behind the answers that the page begins with; their sentences are in ``templates/answers.html``."""

from __future__ import annotations

from typing import Any

from orchestrator.recipe.methods import BASELINE, METHODS, REFERENCE
from orchestrator.report.content.schema import Report, Search, Trial
from orchestrator.report.content.statistics import (
    at_first_rung,
    baseline_leads,
    budget,
    excludes_zero,
    paired,
    ranking,
    t_quantile,
)
from orchestrator.report.page.scored import Scored
from orchestrator.report.words import MOST_VALUES, listed, percent

MOST_NODES = 4  # that are named


def answers(content: Report, found: Scored | None, importances: dict[str, float]) -> dict[str, Any]:
    """Values of the eight answers."""
    methods, search = content["methods"], content["search"]
    ranked = ranking(methods)
    names = [row["method"] for row in ranked]
    made = [stage for stage in content["stages"] if stage["start"] is not None]
    matters = [f"`{name}` {percent(share, 0)}" for name, share in list(importances.items())[:3] if share >= 0.01]
    whole = max(content["cost"]["slot_seconds"], 1e-9)
    dearest = sorted(content["cost"]["by_kind"].items(), key=lambda item: -item[1])
    seeds: list[Any] = list(content["seeds"]["students"])
    if len(seeds) > MOST_VALUES:
        seeds = [*seeds[:3], "...", f"{seeds[-1]} ({len(seeds)} of them)"]
    return {
        "ranked": ranked,
        "place": names.index(REFERENCE) if REFERENCE in names else 0,
        "missing": sum(row["test_accuracy"] is None for row in methods),
        "tries": _what_to_try(content) if baseline_leads(methods) else [],
        **_lead(content, names),
        "clear": [f"`{row['method']}`" for row in content["comparisons"] if excludes_zero(row)],
        "final": final_curriculum(content),
        "paced": best_with_pacing(search),
        "curricula": any(METHODS[row["method"]].dealing for row in methods),
        "found": content["sensitivity"].get(REFERENCE),
        "steps": max((row["steps"] or 0 for row in methods), default=0),
        "matters": matters,
        "shares": content["experts_by_stratum"]["methods"].get(REFERENCE),
        "taught": [f"{words} by {expert}" for words, expert in _most_taught(content)],
        "right": _right(found),
        "made": made,
        "reused": sum(stage["reused"] for stage in made),
        "nodes": sorted({stage["node"] for stage in made if stage["node"]}),
        "most_nodes": MOST_NODES,
        "dearest": [f"{kind} {percent(seconds / whole, 0)}" for kind, seconds in dearest[:3]],
        "seeds": seeds,
        "versions": [
            f"{name} {content['versions'][name]}" for name in ("python", "torch") if name in content["versions"]
        ],
    }


def _what_to_try(content: Report) -> list[str]:
    """Advice where teaching did not pay."""
    taught = [name for name in dict.fromkeys(row["method"] for row in content["methods"]) if METHODS[name].searched_as]
    fixed = [f"`{name}`" for name in taught if not budget(content["searches"], name)]
    *experts, student = content["networks"]
    best = max((row["validation_accuracy"] or 0.0 for row in experts), default=0.0)
    tries = []
    if student["validation_accuracy"] is not None and best <= student["validation_accuracy"]:
        tries.append(f"better experts first: on validation images none is better than the student on {BASELINE}")
    if fixed:
        tries.append(
            f"searching temperature and weight of {listed(fixed)} (`search.trials`, and `search.methods` where it is "
            "set): fixed ones can cost more than a method is worth"
        )
    else:
        tries.append("more trials, or a wider `search.space` for `temperature` and `kd_weight`")
    return [*tries, "more steps for the students (`training.steps`)"]


def _lead(content: Report, names: list[str]) -> dict[str, Any]:
    """The best method against the reference, or where that is the best against the next."""
    if len(names) < 2:
        return {"lead": None}
    lead = paired(content["methods"], names[0], REFERENCE if REFERENCE in names[1:] else names[1])
    factor = t_quantile(lead["pairs"] - 1) / lead["pairs"] ** 0.5 if lead["pairs"] > 1 else None
    return {"lead": lead, "apart": excludes_zero(lead), "factor": factor}


def final_curriculum(content: Report) -> tuple[dict[str, Any], str] | None:
    """The curriculum of the final students, and their method; that of the reference before its controls'."""
    rows = [
        (taught["curriculum"], row["method"])
        for row in content["methods"]
        if (taught := row["taught_with"]) and taught["curriculum"]
    ]
    return min(rows, key=lambda row: row[1] != REFERENCE, default=None)


def best_with_pacing(search: Search) -> tuple[int | None, Trial, float, float] | None:
    """Where the best trial has no pacing: steps, the best trial that has, its accuracy there, and the best trial's."""
    best = search["best"]
    if best is None or best["config"].get("mode") != "static":
        return None
    steps, found = at_first_rung(search["trials"])
    paced = [(trial, value) for trial, value in found if trial["config"].get("mode", "static") != "static"]
    accuracy = next((value for trial, value in found if trial["id"] == best["id"]), None)
    if not paced or accuracy is None:
        return None
    trial, value = max(paced, key=lambda item: item[1])
    return steps, trial, value, accuracy


def _most_taught(content: Report) -> list[tuple[str, str]]:
    """Each stratum and the expert that taught most of it."""
    strata = content["experts_by_stratum"]
    shares = strata["methods"].get(REFERENCE, [])
    found = []
    for place, row in enumerate(shares):
        share, name = max(zip(row, strata["experts"], strict=True))
        words = "the easiest" if place == 0 else "the hardest" if place == len(shares) - 1 else f"stratum {place + 1}"
        found.append((words, f"`{name}` ({percent(share, 0)})" if share else "nobody"))
    return found


def _right(found: Scored | None) -> dict[str, Any] | None:
    """Share of each stratum on which its own expert and the teacher are right."""
    shares = found.right_by_stratum() if found else None
    if found is None or shares is None:
        return None
    return {
        "experts": [percent(row[place], 0) for place, row in enumerate(shares)],
        "teachers": [percent(row[-1], 0) for row in shares],
        "teacher": found.experts[-1],
    }
