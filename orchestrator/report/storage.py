"""Puts a run's report into the storage, and makes it again from what lies there."""

from __future__ import annotations

import json
from typing import Any

from pyarrow import fs as pafs

from orchestrator.artifacts.addresses import address
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.stage_state import StageState
from orchestrator.report.content.build import build
from orchestrator.report.markdown import markdown
from orchestrator.report.reading import read

PAGE = "report.html"


def write(
    planned: Plan,
    store: Store,
    artifacts: dict[str, Artifact],
    reused: set[str],
    sizes: list[dict[str, int]] | None = None,
    timing: dict[str, Any] | None = None,
    states: dict[str, StageState] | None = None,
) -> str:
    """Write the report's files, and the run's id into ``reports/latest``. Returns the page's address.

    May be called again and again while the run goes on, with the ``states`` of its stages by identity: every file is
    replaced whole, and the page is made only when there is something new to show.

    ``sizes`` and ``timing`` (``schedule.py``) stay those of the report before where nothing was run.
    """
    text = store.read_text("reports", planned.run_id, "report.json")
    before = json.loads(text) if text else {}
    if sizes is None:
        sizes = before.get("capacity", [])
    content = build(planned, store, artifacts, reused, sizes, states)
    content |= {"capacity": sizes, "schedule": timing or before.get("schedule")}
    _write(content, store, page=_news(before, content) or not _is_there(store, planned.run_id))
    store.write_text(planned.run_id, "reports", "latest")
    return address(store, "reports", planned.run_id, PAGE)


def rebuild(store: Store, run_id: str | None = None) -> str:
    """Make report.md and report.html of a run again, from its report.json and artifacts. Returns the page's address.

    Raises:
        StorageError: when there is no such run; it lists those that there are.
    """
    content = read(store, run_id)
    _write(content, store, page=True, json_too=False)
    return address(store, "reports", content["run"]["id"], PAGE)


def _write(content: dict[str, Any], store: Store, page: bool, json_too: bool = True) -> None:
    place = ("reports", content["run"]["id"])
    if json_too:
        store.write_text(json.dumps(content, indent=1), *place, "report.json")
    store.write_text(markdown(content), *place, "report.md")
    if page:
        from orchestrator.report.page.document import page_of  # Pillow, plotly and optuna: not where nothing is new

        store.write_text(page_of(content, store), *place, PAGE)


def _is_there(store: Store, run_id: str) -> bool:
    info = store.filesystem.get_file_info(store.path("reports", run_id, PAGE))
    return bool(info.type == pafs.FileType.File)


def _news(before: dict[str, Any], content: dict[str, Any]) -> bool:
    """Whether there is something that the page does not show yet.

    A run that had nothing to do changes only which stages it reused; the page goes on marking those that the last run
    with something to do reused.
    """
    same = ("written",) if any(row["state"] != "kept" for row in content["stages"]) else ("written", "reused", "state")

    def shown(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shown(item) for key, item in value.items() if key not in same}
        return [shown(item) for item in value] if isinstance(value, list) else value

    return bool(shown(before) != shown(json.loads(json.dumps(content))))
