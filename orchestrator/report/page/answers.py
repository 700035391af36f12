"""The values behind the answers that the page begins with; their sentences are in ``templates/answers.html``."""

from __future__ import annotations

from typing import Any, NamedTuple

from orchestrator.artifacts.store import Store
from orchestrator.artifacts.trials import Point
from orchestrator.recipe.methods import REFERENCE, method_of
from orchestrator.recipe.search_space import SETTINGS
from orchestrator.report.content.schema import Curriculum, Report, Search, Trial
from orchestrator.report.content.significance import is_clear, main_comparison
from orchestrator.report.content.statistics import at_first_rung, baseline_leads, budget, ranking
from orchestrator.report.page.figures.trials import importances, space_of
from orchestrator.report.page.scored import Scored
from orchestrator.report.words import MOST_VALUES, percent

MOST_NODES = 4  # that are named
Values = dict[str, Any]  # of a template, by name


class PacedTrial(NamedTuple):
    """The best trial that has pacing, where the best of all has none, compared after ``steps``."""

    steps: int | None
    trial: Trial
    accuracy: float
    best_accuracy: float  # of the best of all


class RightOnStrata(NamedTuple):
    """Shares of each stratum, as per cent, on which its own expert and the teacher are right."""

    experts: list[str]
    teachers: list[str]
    teacher: str


def answers(content: Report, store: Store, found: Scored | None) -> Values:
    """The questions that a run is made to answer, each with its answer in words."""
    methods, strata = content["methods"], content["experts_by_stratum"]
    ranked = ranking(methods)
    names = [row["method"] for row in ranked]
    taught = [name for name in dict.fromkeys(row["method"] for row in methods) if method_of(name).has_experts]
    main = main_comparison(content["comparisons"])
    made = [stage for stage in content["stages"] if stage["start"] is not None]
    decisive = importances(content["search"]["trials"], space_of(content, REFERENCE))
    matters = [f"`{name}` {percent(share, 0)}" for name, share in list(decisive.items())[:3] if share >= 0.01]
    whole = max(content["cost"]["slot_seconds"], 1e-9)
    dearest = sorted(content["cost"]["by_kind"].items(), key=lambda item: -item[1])
    return {
        "ranked": ranked,
        "place": names.index(REFERENCE) if REFERENCE in names else 0,
        "missing": sum(row["test_accuracy"] is None for row in methods),
        "baseline_leads": baseline_leads(methods),
        "fixed": [f"`{name}`" for name in taught if not budget(content["searches"], name)],
        "one_rate": "learning_rate" not in content["recipe"]["search"]["space"],
        "best_expert": max((row["validation_accuracy"] or 0.0 for row in content["networks"][:-1]), default=0.0),
        "main": main,
        "apart": is_clear(main) if main else None,
        "others": [row for row in content["comparisons"] if row is not main and row["p"] is not None],
        "clear": [f"`{row['method']}`" for row in content["comparisons"] if row is not main and is_clear(row)],
        "unequal": bool(
            main
            and main["primary"]
            and space_of(content, main["method"])
            and budget(content["searches"], REFERENCE)
            and not budget(content["searches"], main["method"])
        ),
        "final": final_curriculum(content),
        "paced": best_with_pacing(content["search"]),
        "curricula": any(method_of(row["method"]).dealing for row in methods),
        "found": content["sensitivity"].get(REFERENCE),
        "steps": max((row["steps"] or 0 for row in methods), default=0),
        "matters": matters,
        "most_taught": [max(zip(row, strata["experts"], strict=True)) for row in strata["methods"].get(REFERENCE, [])],
        "right": _right(found),
        "made": made,
        "reused": sum(stage["reused"] for stage in made),
        "nodes": sorted({stage["node"] for stage in made if stage["node"]}),
        "most_nodes": MOST_NODES,
        "dearest": [f"{kind} {percent(seconds / whole, 0)}" for kind, seconds in dearest[:3]],
        "most_values": MOST_VALUES,
        "made_with": [
            f"{name} {content['versions'][name]}" for name in ("python", "torch") if name in content["versions"]
        ],
    }


def point_of(curriculum: Curriculum) -> Point:
    """Returns a curriculum as a point of the search space."""
    table = curriculum.get("table", [])
    by_stratum = dict(zip(SETTINGS["table"].names(len(table)), table, strict=True))
    return {"mode": curriculum["mode"], "selector": curriculum["selector"], **by_stratum, **curriculum["pacing"]}


def final_curriculum(content: Report) -> tuple[Point, str] | None:
    """The curriculum of the final students, and their method; that of the reference before its controls'."""
    rows = [
        (point_of(taught["curriculum"]), row["method"])
        for row in content["methods"]
        if (taught := row["taught_with"]) and taught["curriculum"]
    ]
    return min(rows, key=lambda row: row[1] != REFERENCE, default=None)


def best_with_pacing(search: Search) -> PacedTrial | None:
    """Returns the best trial with pacing; None where the best of all has pacing, or there is none to compare."""
    best = search["best"]
    if best is None or best["config"].get("mode") != "static":
        return None
    steps, found = at_first_rung(search["trials"])
    paced = [(trial, value) for trial, value in found if trial["config"].get("mode", "static") != "static"]
    accuracy = next((value for trial, value in found if trial["id"] == best["id"]), None)
    if not paced or accuracy is None:
        return None
    trial, value = max(paced, key=lambda item: item[1])
    return PacedTrial(steps, trial, value, accuracy)


def _right(found: Scored | None) -> RightOnStrata | None:
    shares = found.right_by_stratum() if found else None
    if found is None or shares is None:
        return None
    return RightOnStrata(
        experts=[percent(row[place], 0) for place, row in enumerate(shares)],
        teachers=[percent(row[-1], 0) for row in shares],
        teacher=found.experts[-1],
    )
