"""The sections of the page: the values that each adds to those of ``report.json`` for the template of the same name.

A section that has nothing to show returns None.
"""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.artifacts.store import Store
from orchestrator.artifacts.trained import read_history
from orchestrator.artifacts.trials import Point
from orchestrator.pipeline.stage_state import STATES
from orchestrator.recipe.methods import BASELINE, METHODS, REFERENCE, TEACHER_ALONE, method_of
from orchestrator.recipe.search_space import SETTINGS
from orchestrator.report import hypothesis_words
from orchestrator.report.content import reproduce
from orchestrator.report.content.fidelity import calibration_rows, fidelity_rows
from orchestrator.report.content.schema import Report, StudentRow, Trial
from orchestrator.report.content.significance import main_comparison
from orchestrator.report.content.statistics import budget, method_rows
from orchestrator.report.content.student_t import LEVEL
from orchestrator.report.files import read
from orchestrator.report.page.answers import Values, answers, final_curriculum, point_of
from orchestrator.report.page.examples import examples
from orchestrator.report.page.figures import experts as expert_figures
from orchestrator.report.page.figures import methods as method_figures
from orchestrator.report.page.figures.gains import gains
from orchestrator.report.page.figures.pacing import pacing_curves
from orchestrator.report.page.figures.style import colours_of
from orchestrator.report.page.figures.timeline import timeline as timeline_figure
from orchestrator.report.page.figures.trials import drawn_by_optuna, space_of
from orchestrator.report.page.scored import Scored
from orchestrator.report.words import MOST_VALUES, OTHER_WEIGHTS, notes, number, percent, stratum_name

Section = Callable[[Report, Store, Scored | None], Values | None]
WORDS = {setting.name for setting in SETTINGS.values() if not setting.is_number}


def status(content: Report, store: Store, found: Scored | None) -> Values | None:
    """Progress of a run that is not complete: stages at work, and failures with their cause."""
    if content["run"]["complete"]:
        return None
    stages = content["stages"]
    by_state = {state: [stage for stage in stages if stage["state"] == state] for state in (*STATES, None)}
    return {
        "done": sum(stage["start"] is not None for stage in stages),
        "counts": [f"{len(each)} {state or 'missing'}" for state, each in by_state.items() if each],
        "running": by_state["running"],
        "failed": by_state["failed"],
        "style": "status failed" if by_state["failed"] else "status",
    }


def warnings(content: Report, store: Store, found: Scored | None) -> Values | None:
    """Defects of the experts."""
    return {} if content["warnings"] else None


def hypothesis(content: Report, store: Store, found: Scored | None) -> Values | None:
    """The verdict on the hypothesis, and its matrices."""
    measured = content["hypothesis"]
    if measured is None:
        return None
    by_expert, by_cell, experts = measured["by_expert"], measured["by_cell"], measured["experts"]
    return {
        "conclusions": hypothesis_words.sentences(measured),
        "by_expert": gains(by_expert["gains"], experts, BASELINE) if by_expert else None,
        "by_cell": gains(by_cell["gains"], experts, TEACHER_ALONE) if by_cell else None,
        "gain_rows": hypothesis_words.gain_rows(measured),
        "strata": [stratum_name(place, len(experts)) for place in range(len(experts))],
        "level": percent(LEVEL, 0),
    }


def methods(content: Report, store: Store, found: Scored | None) -> Values:
    """The result: points, differences, table, curves."""
    students, comparisons = content["methods"], content["comparisons"]
    known = any(row["difference"] is not None for row in comparisons)
    return {
        "points": method_figures.points(students),
        "rows": [{**row, "trials": len(budget(content["searches"], row["method"]))} for row in method_rows(students)],
        "most_values": MOST_VALUES,
        "other": OTHER_WEIGHTS[content["recipe"]["training"]["keep"]],
        "notes": notes(content),
        "comparisons": comparisons if known else [],
        "main": main_comparison(comparisons),
        "level": percent(LEVEL, 0),
        "differences": method_figures.differences(comparisons),
        "curves": method_figures.training_curves(_histories(content, store)),
    }


def fidelity(content: Report, store: Store, found: Scored | None) -> Values | None:
    """Fidelity of the taught students, and the calibration of every network."""
    calibrated = calibration_rows(content["networks"], content["methods"])
    return {"fidelity": fidelity_rows(content["methods"]), "calibrated": calibrated} if calibrated else None


def _histories(content: Report, store: Store) -> dict[str, list[method_figures.History]]:
    found: dict[str, list[method_figures.History]] = {}
    for row in content["methods"]:
        history = read(store, row["artifact"], read_history) if row["steps"] is not None else None
        if history:
            curve = [(line["step"], line["validation_accuracy"]) for line in history]
            found.setdefault(row["method"], []).append(curve)
    return found


def schedule(content: Report, store: Store, found: Scored | None) -> Values | None:
    """Pacing curves, and each method's settings."""
    search = content["search"]
    final, name = final_curriculum(content) or (None, "")
    if not final and not search["trials"]:
        return None
    taught: dict[str, tuple[StudentRow, Point | None]] = {}
    for row in content["methods"]:
        settings = row["taught_with"]
        if settings and (method_of(row["method"]).has_experts or budget(content["searches"], row["method"])):
            chosen = settings["curriculum"]
            taught.setdefault(row["method"], (row, point_of(chosen) if chosen else None))
    return {
        "curves": pacing_curves(search["trials"], search["best"], final, name),
        "taught": [(row, point, method_of(method).has_experts) for method, (row, point) in taught.items()],
    }


def search(content: Report, store: Store, found: Scored | None) -> Values | None:
    """Each search: its history, the settings that decide, every trial."""
    searches = [
        _search(content, method, search["trials"]) | {"done": search["best"] is not None}
        for method, search in content["searches"].items()
        if search["trials"]
    ]
    return {"searches": searches} if searches else None


def _search(content: Report, method: str, trials: list[Trial]) -> Values:
    settings = list(dict.fromkeys(name for trial in trials for name in trial["config"]))
    drawn = drawn_by_optuna(trials, space_of(content, method))
    return {
        "method": method,
        "found": content["sensitivity"][method],
        "drawn": {name: drawn.get(name) for name in ("history", "importances", "parallel")},
        "trials": sorted(trials, key=lambda trial: (-trial["steps"], -(trial["validation_accuracy"] or 0))),
        "settings": settings,
        "setting_values": lambda trial: [trial["config"].get(name, "-") for name in settings],
        "text": (0, 3, *(place for place, name in enumerate(settings, 4) if name in WORDS), 4 + len(settings)),
    }


def experts(content: Report, store: Store, found: Scored | None) -> Values | None:
    """Examples of each stratum, which expert is right where, which expert taught what."""
    strata = content["experts_by_stratum"]
    if found is None and not strata["methods"]:
        return None
    values: Values = {
        "taught": expert_figures.taught(strata["methods"], strata["experts"]) if strata["methods"] else None,
        "taught_rows": [
            (method, stratum_name(place, len(shares)), *(percent(share, 1) for share in row))
            for method, shares in strata["methods"].items()
            for place, row in enumerate(shares)
        ],
        "controls": {method.dealing: method.name for method in METHODS.values() if method.control_of == REFERENCE},
        "scored": found is not None,
        "examples": None,
    }
    if found is None:
        return values
    right, scorer = found.right_by_stratum(), content["recipe"]["difficulty"]["scorer"]
    known = content["difficulty"].get("severity_correlation") or {}
    return values | {
        "colours": colours_of(found.experts),
        "examples": _examples(content, store, found),
        "agreement": None if right is None else expert_figures.agreement(right, found.experts),
        "scorer": scorer,
        "histogram": expert_figures.difficulty_histogram(found.difficulty, found.strata, found.experts, scorer),
        "correlations": sorted(known.items(), key=lambda item: -(item[1] or 0)),
    }


def _examples(content: Report, store: Store, found: Scored) -> list[Values] | str:
    """Each stratum's examples, and the expert that taught most of it; in words the reason why there are none."""
    shown = examples(content, store, found)
    if isinstance(shown, str):
        return shown
    strata, rows = content["experts_by_stratum"], []
    shares = strata["methods"].get(REFERENCE)
    for place, expert in enumerate(found.experts):
        share, name = None, expert
        if shares and len(shares) == len(found.experts) and any(shares[place]):
            share, name = max(zip(shares[place], strata["experts"], strict=True))
        rows.append({"share": share, "expert": name, "examples": [it for it in shown if it.stratum == place]})
    return rows


def capacity(content: Report, store: Store, found: Scored | None) -> Values:
    """Size and accuracy of the networks."""
    drawn = method_figures.capacity(content["networks"], content["methods"], content["experts_by_stratum"]["experts"])
    return {"drawn": drawn}


def timeline(content: Report, store: Store, found: Scored | None) -> Values | None:
    """Stages on nodes, and the same as a table."""
    stages = content["stages"]
    drawn = timeline_figure(stages)
    if drawn is None:
        return None
    figure, cuts = drawn
    return {
        "figure": figure,
        "cuts": cuts,
        "reused": sum(stage["reused"] for stage in stages),
        "first": min(stage["start"] for stage in stages if stage["start"] is not None),
    }


def cost(content: Report, store: Store, found: Scored | None) -> Values | None:
    """Cost of the stages by kind, and of trainings by activity."""
    by_kind, whole = content["cost"]["by_kind"], content["cost"]["slot_seconds"]
    if not by_kind:
        return None
    priced = [stage["kind"] for stage in content["stages"] if stage["slot_seconds"] is not None]
    dearest = sorted(by_kind.items(), key=lambda item: -item[1])
    kinds = [(kind, priced.count(kind), seconds) for kind, seconds in dearest]
    spent = {"ladder": content["spent"]["ladder"], "students": content["spent"]["students"]}
    activities = sorted({activity for seconds in spent.values() for activity in seconds})
    return {
        "kinds": [*kinds, ("in all", len(priced), whole)],
        "whole": max(whole, 1e-9),
        "activities": activities,
        "spent": [
            (
                name,
                *(percent(each.get(it, 0.0) / max(sum(each.values()), 1e-9), 1) for it in activities),
                number(sum(each.values())),
            )
            for name, each in spent.items()
            if each
        ],
    }


def again(content: Report, store: Store, found: Scored | None) -> Values:
    """The command, the recipe, seeds and versions."""
    return {"recipe": reproduce.as_yaml(content["recipe"])}


SECTIONS: dict[str, Section] = {
    "State": status, "Warnings": warnings, "Answers": answers, "Hypothesis": hypothesis, "Methods": methods,
    "Fidelity": fidelity,
    "Schedule": schedule, "Search": search, "Experts": experts, "Capacity": capacity, "Timeline": timeline,
    "Cost": cost, "Again": again,
}  # fmt: skip
"""By name, in the order of the page."""
