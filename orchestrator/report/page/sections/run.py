"""How the run went: what goes on now, what ran when, what it cost, and how to have it again."""

from __future__ import annotations

from typing import Any

from orchestrator.pipeline.stage_state import STATES
from orchestrator.report.content import reproduce
from orchestrator.report.page.figures.timeline import timeline
from orchestrator.report.page.markup import Html, copied, folded, join, paragraph, picture, single, table, tag, words
from orchestrator.report.page.phrases import duration, percent


def status_section(content: dict[str, Any]) -> Html:
    """For a run that is not complete: how far it is, what is at work, what failed and why."""
    run, stages = content["run"], content["stages"]
    if run["complete"]:
        return Html("")
    done = sum(stage["start"] is not None for stage in stages)
    running = [stage for stage in stages if stage["state"] == "running"]
    failed = [stage for stage in stages if stage["state"] == "failed"]
    counted = [(state, sum(stage["state"] == state for stage in stages)) for state in STATES]
    unknown = sum(stage["state"] is None for stage in stages)
    counts = ", ".join(f"{count} {state}" for state, count in counted if count)
    counts += f"{', ' if counts else ''}{unknown} missing" if unknown else ""
    parts: list[Any] = [
        tag("h2", "The run goes on" if run["live"] else "This run is not complete"),
        tag("p", tag("progress", max=len(stages), value=done, aria_label="stages done"),
            f" {done} of {len(stages)} stages are there: {counts}."),
    ]  # fmt: skip
    if run["live"]:
        parts.append(
            tag("p", "The page loads itself again every 10 seconds. ",
                tag("label", single("input", type="checkbox", id="hold"), " hold it still"), " ",
                tag("span", id="stale", role="status"))
        )  # fmt: skip
    if failed:
        parts.append(tag("h3", "What failed"))
        parts += [_failure(stage, stages) for stage in failed]
    if running:
        rows = [[stage["name"], stage["status"], _since(stage)] for stage in running]
        parts.append(table(["stage", "how far", "for"], rows, "At work now.", (0, 1)))
    for state, said in (("blocked", "could not be done, since they need one that failed"), ("waiting", "wait")):
        names = [stage["name"] for stage in stages if stage["state"] == state]
        if names:
            parts.append(folded(f"{len(names)} stages {said}", tag("p", ", ".join(names)), key=state))
    return tag("section", *parts, id="status", class_="status failed" if failed else "status")


def warnings_section(content: dict[str, Any]) -> Html:
    """What is known to be wrong with the experts; nothing in most runs."""
    texts = content["warnings"]
    items = [tag("li", words(f"{text}.")) for text in texts]
    return tag("section", tag("h2", "Warnings"), tag("ul", *items), id="warnings") if texts else Html("")


def _since(stage: dict[str, Any]) -> Html:
    return tag("span", "-", data_since=stage["since"]) if stage["since"] else Html("-")


def _failure(stage: dict[str, Any], stages: list[dict[str, Any]]) -> Html:
    error = stage["error"] or "no reason was given"
    first, _, rest = error.partition("\n")
    shown: list[Any] = [tag("p", tag("strong", stage["name"]), ": ", first)]
    if rest:
        shown.append(folded("The whole message", tag("pre", error, tabindex="0"), key=f"error-{stage['id']}"))
    return tag("div", *shown, class_="error")


def timeline_section(content: dict[str, Any]) -> Html:
    """Stages on nodes, and the same as a table."""
    stages = content["stages"]
    drawn = timeline(stages)
    if drawn is None:
        return Html("")
    figure, cuts = drawn
    cut = (
        f" Dashed lines: {len(cuts)} times nothing ran, {duration(sum(s for _, s in cuts))} in all, is cut out."
        if cuts
        else ""
    )
    count = sum(stage["reused"] for stage in stages)
    kept = f" Hatched bars ({count}) were kept from an earlier run and show when they were made." if count else ""
    caption = (
        "Every stage as a bar on its node, coloured by its kind; a second row of a node is a second stage at the same "
        f"time.{kept} Look for rows with gaps: there a stage waited for another.{cut}"
    )
    first = min(stage["start"] for stage in stages if stage["start"] is not None)
    rows = [
        [
            stage["name"], stage["kind"], stage["state"] or "missing",
            *(
                [f"{stage['start'] - first:.1f}", f"{stage['end'] - stage['start']:.1f}"]
                if stage["start"] is not None else ["-", "-"]
            ),
            "-" if stage["slot_seconds"] is None else f"{stage['slot_seconds']:.1f}", stage["node"] or "-",
            tag("code", stage["id"]),
        ]
        for stage in stages
    ]  # fmt: skip
    shown = table(
        ["stage", "kind", "state", "from (s)", "seconds", "slot-seconds", "node", "folder below artifacts/"], rows,
        "Every stage, each after what it needs. Seconds count from the first start.", (0, 1, 2, 6, 7),
    )  # fmt: skip
    return tag(
        "section", tag("h2", "Timeline"), picture(figure, caption, wide=True),
        folded(f"All {len(stages)} stages", shown, key="all-stages"), id="timeline",
    )  # fmt: skip


def cost_section(content: dict[str, Any]) -> Html:
    """What the stages took, and what a student saves."""
    cost = content["cost"]
    if not cost["by_kind"]:
        return Html("")
    whole = max(cost["slot_seconds"], 1e-9)
    counts = {kind: sum(stage["kind"] == kind and stage["slot_seconds"] is not None for stage in content["stages"])
              for kind in cost["by_kind"]}  # fmt: skip
    rows = [
        [kind, counts[kind], f"{seconds:,.1f}", percent(seconds / whole, 1)]
        for kind, seconds in sorted(cost["by_kind"].items(), key=lambda item: -item[1])
    ]
    rows.append(["in all", sum(counts.values()), f"{cost['slot_seconds']:,.1f}", percent(1.0, 1)])
    parts: list[Any] = [
        table(
            ["kind", "stages", "slot-seconds", "share"], rows,
            "What the artifacts of this run took, whichever run made them. A slot is the room of one single-worker "
            "training; a stage with several workers counts each of them, and the start of their processes.",
        ),
    ]  # fmt: skip
    spent = {name: parts for name, parts in content["spent"].items() if parts}
    if spent:
        doing = sorted({it for parts_of in spent.values() for it in parts_of})
        shown = [
            [
                name,
                *(percent(of.get(it, 0.0) / max(sum(of.values()), 1e-9), 1) for it in doing),
                f"{sum(of.values()):,.0f}",
            ]
            for name, of in spent.items()
        ]
        parts.append(table(["networks", *doing, "seconds"], shown, "What the time of trainings went to."))
    parts.append(paragraph("What a student saves against the teacher stands under Capacity."))
    return tag("section", tag("h2", "Cost"), *parts, id="cost")


def again_section(content: dict[str, Any]) -> Html:
    """The command, the recipe, seeds and versions."""
    run = content["run"]
    recipe = reproduce.as_yaml(content["recipe"])
    parts: list[Any] = []
    if run["command"]:
        parts.append(paragraph("In the project's folder, type:"))
        parts.append(copied(run["command"], "the command"))
    else:
        parts.append(paragraph("Save the recipe below as `recipe.yaml`. In the project's folder, type:"))
        parts.append(copied("python -m orchestrator.run recipe.yaml", "the command"))
    parts.append(
        paragraph(
            "Where the results lie it does nothing, since all is there; `--storage ANOTHER-FOLDER` makes everything "
            "anew. On one kind of CPU, with the versions below, the weights are the same bit for bit; on a GPU they "
            "are not."
        )
    )
    seeds = [
        [name, ", ".join(map(str, value)) if isinstance(value, list) else value]
        for name, value in content["seeds"].items()
    ]
    versions = [
        [name, ", ".join(number) if isinstance(number, list) else number]
        for name, number in content["versions"].items()
    ]
    parts += [
        tag("div", table(["seed of", "value"], seeds, "Seeds.", (0, 1)),
            table(["package", "version"], versions, "Versions that the artifacts were made with.", (0, 1)),
            class_="pair"),
        folded("The whole recipe", copied(recipe, "the recipe"), key="recipe")
        if run["command"] else join([tag("h3", "The whole recipe"), copied(recipe, "the recipe")]),
        paragraph(f"Outputs of experts: {run['expert_outputs']}."),
    ]  # fmt: skip
    return tag("section", tag("h2", "To have it again"), *parts, id="again")


def headline(content: dict[str, Any]) -> Html:
    """Name, student and state of the run."""
    run, student = content["run"], content["networks"][-1]
    state = "complete" if run["complete"] else "going on" if run["live"] else "not complete"
    dataset = content["recipe"]["dataset"]["name"]
    about = f"Run `{run['id']}`, **{state}**. Student `{student['name']}` on `{dataset}`, "
    ways, seeds = len({row["method"] for row in content["methods"]}), len(content["seeds"]["students"])
    about += f"taught in {ways} ways with {seeds} {'seed' if seeds == 1 else 'seeds'}. "
    written = tag("time", "", data_written=run["written"])
    return tag("header", tag("h1", run["name"]), tag("p", words(about), "Written ", written, "."))
