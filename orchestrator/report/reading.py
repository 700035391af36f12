"""Finds and reads the report of a run that was made before."""

from __future__ import annotations

import json
from typing import Any

import pyarrow.fs as pafs

from orchestrator.artifacts.addresses import address
from orchestrator.artifacts.store import StorageError, Store
from orchestrator.paths import PathError, folder_name
from orchestrator.recipe.messages import nearest
from orchestrator.report.content import reproduce
from orchestrator.report.content.build import derived, slot_seconds


def read(store: Store, run_id: str | None = None) -> dict[str, Any]:
    """A run's report.json (default: that of the run reported last), with the fields that older ones lack.

    Raises:
        StorageError: when there is no such run, with those that there are, or its report.json can't be read.
    """
    try:
        wanted = (store.read_text("reports", "latest") or "").strip() if run_id is None else folder_name(run_id)
    except PathError as error:
        raise StorageError(f"run: {error}") from None
    text = store.read_text("reports", wanted, "report.json") if wanted else None
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
        place = address(store, "reports", wanted, "report.json")
        raise StorageError(f"{place} is damaged ({error}); the run's own command writes it anew") from error


def runs(store: Store) -> list[str]:
    """The ids of all runs that have a report, sorted.

    Raises:
        StorageError: when the storage can't be read.
    """
    try:
        found = store.filesystem.get_file_info(pafs.FileSelector(store.path("reports"), allow_not_found=True))
    except OSError as error:
        raise StorageError(f"storage '{store.uri}' can't be read: {error}; check it, or name another") from error
    return sorted(item.base_name for item in found if item.type == pafs.FileType.Directory)


def _completed(content: dict[str, Any], store: Store) -> dict[str, Any]:
    """A report of an earlier version of the program, with the fields that were added since."""
    content.setdefault("warnings", [])
    content["run"].setdefault("live", False)
    content["run"].setdefault("command", reproduce.command(content["recipe"]))
    for row in content["stages"]:
        if "slot_seconds" not in row:
            row["slot_seconds"] = slot_seconds(store.find(row["id"]))
        made = "kept" if row["reused"] else "done"
        row.setdefault("state", made if row["end"] else None)
        for field, value in (("status", ""), ("since", None), ("error", None)):
            row.setdefault(field, value)
    return content | derived(content)
