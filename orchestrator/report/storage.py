"""Reports in the storage: written while a run goes on and at its end, read, and made again from what lies there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pyarrow import fs as pafs

from orchestrator.artifacts.addresses import address
from orchestrator.artifacts.store import Artifact, StorageError, Store
from orchestrator.locations import PathError, folder_name
from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.stage_state import StageState
from orchestrator.recipe.messages import nearest
from orchestrator.report.content import reproduce
from orchestrator.report.content.build import build, derived, slot_seconds
from orchestrator.report.content.schema import Makespan, Report
from orchestrator.report.markdown import markdown

PAGE, TEXT, CONTENT = "report.html", "report.md", "report.json"


def write(
    planned: Plan,
    store: Store,
    artifacts: dict[str, Artifact],
    reused: set[str],
    sizes: Sequence[Mapping[str, int]] | None = None,
    timing: Makespan | None = None,
    states: dict[str, StageState] | None = None,
) -> str:
    """Write the report's files, and the run's id into ``reports/latest``. Returns the page's address.

    May be called again and again while the run goes on, with the ``states`` of its stages by identity: every file is
    replaced whole, and page and Markdown are made only when there is something new to show.

    ``sizes`` and ``timing`` (``content/makespan.py``) stay those of the report before where nothing was run.
    """
    text = store.read_text("reports", planned.run_id, CONTENT)
    before = json.loads(text) if text else {}
    if sizes is None:
        sizes = before.get("capacity", [])
    content = build(planned, store, artifacts, reused, sizes, states)
    content["schedule"] = timing or before.get("schedule")
    store.write_text(json.dumps(content, indent=1), "reports", planned.run_id, CONTENT)
    if _news(before, content) or not _is_whole(store, planned.run_id):
        _show(content, store)
    store.write_text(planned.run_id, "reports", "latest")
    return address(store, "reports", planned.run_id, PAGE)


def rebuild(store: Store, run_id: str | None = None) -> str:
    """Make report.md and report.html of a run again, from its report.json and artifacts. Returns the page's address.

    Raises:
        StorageError: when there is no such run; it lists those that there are.
    """
    content = read(store, run_id)
    _show(content, store)
    return address(store, "reports", content["run"]["id"], PAGE)


def _show(content: Report, store: Store) -> None:
    from orchestrator.report.page.document import page_of  # numpy's and curricula's part: not where nothing is new

    place = ("reports", content["run"]["id"])
    store.write_text(markdown(content), *place, TEXT)
    store.write_text(page_of(content, store), *place, PAGE)


def _is_whole(store: Store, run_id: str) -> bool:
    return all(store.is_file("reports", run_id, name) for name in (PAGE, TEXT))


def _news(before: Mapping[str, object], content: Report) -> bool:
    """Whether there is something that page and Markdown do not show yet.

    A run that had nothing to do changes only which stages it reused; they go on marking those that the last run with
    something to do reused.
    """
    same = ("written",) if any(row["state"] != "kept" for row in content["stages"]) else ("written", "reused", "state")

    def shown(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shown(item) for key, item in value.items() if key not in same}
        return [shown(item) for item in value] if isinstance(value, list) else value

    return bool(shown(before) != shown(json.loads(json.dumps(content))))


def read(store: Store, run_id: str | None = None) -> Report:
    """A run's report.json (default: that of the run reported last), with the fields that older ones lack.

    Raises:
        StorageError: when there is no such run, with those that there are, or its report.json can't be read.
    """
    try:
        wanted = (store.read_text("reports", "latest") or "").strip() if run_id is None else folder_name(run_id)
    except PathError as error:
        raise StorageError(f"run: {error}") from None
    text = store.read_text("reports", wanted, CONTENT) if wanted else None
    if text is None:
        known = runs(store)
        if not known:
            raise StorageError(
                f"storage '{store.uri}' holds no run; make one with python -m orchestrator.run, or name another storage"
            )
        there = f"there {'is' if len(known) == 1 else 'are'}: {', '.join(known)}"
        raise StorageError(f"run '{wanted}' is not in storage '{store.uri}'{nearest(wanted, known)}; {there}")
    try:
        return _completed(json.loads(text), store)
    except (ValueError, KeyError, TypeError) as error:
        place = address(store, "reports", wanted, CONTENT)
        raise StorageError(f"{place} is damaged ({error}); the run's own command writes it anew") from error


def runs(store: Store) -> list[str]:
    """The ids of all runs that have a report, sorted.

    Raises:
        StorageError: when the storage can't be read.
    """
    folders = [item.base_name for item in store.list("reports") if item.type == pafs.FileType.Directory]
    return sorted(name for name in folders if store.is_file("reports", name, CONTENT))  # others compare TA paths


def _completed(content: dict[str, Any], store: Store) -> Report:
    """A report of an earlier version of the program, with the fields that were added since."""
    content = {"warnings": [], "coinciding": {}, "schedule": None, "hypothesis": None, **content}
    recipe = content["recipe"]
    added = {"live": False, "command": reproduce.command(recipe), "precision": recipe["training"]["precision"]}
    content["run"] = {**added, **content["run"]}
    unmeasured = dict.fromkeys(("other_validation_accuracy", "other_test_accuracy", "kept_step", "calibration_error"))
    seeds = content["seeds"]
    seeds.setdefault("ladders", [seeds["ladder"]])
    seeds.setdefault("validation", seeds["dataset"])
    content.setdefault("images", dict.fromkeys(("train", "validation", "test", "wrong_labels")))
    of_student = {"ladder_seed": seeds["ladder"], **unmeasured, "fidelity": {}}
    content["methods"] = [{**of_student, **row} for row in content["methods"]]
    content["networks"] = [{"calibration_error": None, **row} for row in content["networks"]]
    for row in content["stages"]:
        if "slot_seconds" not in row:
            row["slot_seconds"] = slot_seconds(store.find(row["id"]))
        made = "kept" if row["reused"] else "done"
        row.setdefault("state", made if row["end"] else None)
        for field, value in (("status", ""), ("since", None), ("error", None)):
            row.setdefault(field, value)
    return cast(Report, content | derived(content["stages"], content["methods"], content["searches"]))
