"""Optuna's figures of a search: history, importances, and every trial's settings side by side."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from functools import lru_cache

from orchestrator.recipe.methods import method_of
from orchestrator.recipe.plain_form import Space
from orchestrator.recipe.search_space import SETTINGS
from orchestrator.report.content.schema import Report, Trial
from orchestrator.report.content.statistics import at_first_rung
from orchestrator.report.page.figures.style import HIGH, LINES, LOW, QUIET, SCALE, TEXT, Figure, axis, figure, on_scale

FEWEST = 4  # trials, below which these figures show nothing
BY_STRATUM = {field for field, setting in SETTINGS.items() if setting.by_stratum}  # also the settings' names
KEPT = ("annotations", "shapes", "hovermode")  # of the layout of Optuna's parallel coordinates


def drawn_by_optuna(trials: Sequence[Trial], space: Space) -> dict[str, Figure]:
    """``history``, ``importances`` and ``parallel``, by Optuna, of the stored trials; none for too few of them.

    All trials are compared at the steps that each of them has reached. Importances are by PED-ANOVA, which needs no
    other package.
    """
    _, found = at_first_rung(trials)
    rows = [[trial["config"], value] for trial, value in found]
    if len(rows) < FEWEST:
        return {}
    return {
        key: _DRESS[key](content) for key, content in json.loads(_drawn(json.dumps(rows), json.dumps(space))).items()
    }


def importances(trials: Sequence[Trial], space: Space) -> dict[str, float]:
    """The importance of each searched setting for a trial to be among the best, as shares of 1, greatest first."""
    shown = drawn_by_optuna(trials, space).get("importances")
    if shown is None:
        return {}
    bars = shown["data"][0]
    whole = sum(bars["x"])
    pairs = sorted(zip(bars["y"], bars["x"], strict=True), key=lambda pair: -pair[1])
    return {name: value / whole for name, value in pairs} if whole > 0 else {}


def space_of(content: Report, method: str) -> Space:
    """The space of a method's search: the settings of the parts that its students' training has."""
    space = content["recipe"]["search"]["space"]
    places = method_of(method).places
    return {field: choices for field, choices in space.items() if SETTINGS[field].place in places}


@lru_cache(maxsize=16)
def _drawn(trials: str, space: str) -> str:
    """JSON in and out, so that a page that is made again while nothing new has come need not ask Optuna again."""
    import optuna  # a second or so: only where a page is made
    from optuna import visualization

    asked: Space = json.loads(space)
    known: dict[str, optuna.distributions.BaseDistribution] = {}
    configs = [config for config, _ in json.loads(trials)]
    for key in {key for config in configs for key in config if key.partition("[")[0] in BY_STRATUM}:
        tried_there = sorted({config[key] for config in configs if key in config})
        known[key] = optuna.distributions.CategoricalDistribution(tried_there)
    for field, values in asked.items():
        setting = SETTINGS[field]
        if setting.by_stratum:
            continue
        if isinstance(values, str):
            tried = {config[setting.name] for config in configs if setting.name in config}
            if tried:
                known[setting.name] = optuna.distributions.CategoricalDistribution(sorted(tried))
        elif isinstance(values, list):
            known[setting.name] = optuna.distributions.CategoricalDistribution(values)
        else:
            low, high = setting.reach(values["low"], values["high"])
            known[setting.name] = optuna.distributions.FloatDistribution(low, high, log=setting.log)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # notes on experimental arguments, and on settings that never varied
        study = optuna.create_study(direction="maximize")
        for config, value in json.loads(trials):
            ours = {name: config[name] for name in config if name in known and not known[name].single()}
            distributions = {name: known[name] for name in ours}
            study.add_trial(optuna.trial.create_trial(params=ours, distributions=distributions, value=100 * value))
        name = "validation accuracy (%)"
        made = {"history": visualization.plot_optimization_history(study, target_name=name)}
        values_of: dict[str, set[str | float]] = {}
        for trial in study.trials:
            for parameter, value in trial.params.items():
                values_of.setdefault(parameter, set()).add(value)
        varied = [parameter for parameter, values in values_of.items() if len(values) > 1]
        if varied and len({trial.value for trial in study.trials}) > 1:  # or nothing can have decided anything
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            made["importances"] = visualization.plot_param_importances(
                study, evaluator=evaluator, params=varied, target_name=name
            )
        if varied:
            made["parallel"] = visualization.plot_parallel_coordinate(study, params=varied, target_name=name)
    return json.dumps({key: json.loads(drawn.to_json(engine="json")) for key, drawn in made.items()})


# -- the page's colours and axes on them -------------------------------------------------------------------------


def _history(content: Figure) -> Figure:
    looks = {"markers": ("trial", LOW), "lines": ("best so far", HIGH)}
    data = []
    for trace in content["data"]:
        if trace["x"]:
            name, colour = looks[trace["mode"]]
            data.append(trace | {"name": name, "marker": {"color": colour, "size": 8}, "line": {"color": colour}})
    return figure(data, 380, xaxis=axis("trial"), yaxis=axis("validation accuracy (%)"))


def _importances(content: Figure) -> Figure:
    data = [
        trace | {"marker": {"color": LOW}, "textfont": {"color": TEXT}, "outsidetextfont": {"color": TEXT}}
        for trace in content["data"]
    ]
    across = axis("importance (share of 1)", range=[0, 1.1])
    return figure(data, 110 + 30 * len(data[0]["y"]), xaxis=across, yaxis=axis(""), showlegend=False)


def _parallel(content: Figure) -> Figure:
    for trace in content["data"]:
        if trace["type"] == "parcoords":  # Optuna before 5
            trace["line"] = trace["line"] | {"colorscale": SCALE, "reversescale": False}
            trace |= {name: {"color": TEXT, "size": 12} for name in ("labelfont", "tickfont", "rangefont")}
        elif trace["mode"] == "lines":
            trace["line"] = {"color": on_scale(trace["y"][0]), "width": 2}
            trace["opacity"] = 0.8
        else:
            trace["marker"] = trace["marker"] | {"colorscale": SCALE}
            trace["marker"]["colorbar"] |= {"thickness": 12, "outlinewidth": 0}
    layout = {
        key: value for key, value in content["layout"].items() if key in KEPT or key.startswith(("xaxis", "yaxis"))
    }
    for note in layout.get("annotations", ()):
        note["font"] = {"color": TEXT if note.get("yref") == "paper" else QUIET, "size": 11}
    for shape in layout.get("shapes", ()):
        shape["line"] = {"color": LINES, "width": 1}
    layout["margin"] = {"l": 50, "r": 20, "t": 30, "b": 40}
    return figure(content["data"], 440, **layout)


_DRESS = {"history": _history, "importances": _importances, "parallel": _parallel}
