"""Reports of runs whose artifacts were made by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from orchestrator import report
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.pipeline.graph import Plan
from orchestrator.report.content.schema import Report

Made = tuple[Plan, Store, dict[str, Artifact]]

SIZES = [{"parameters": 1000 // (n + 1), "multiply_adds": 9000 // (n + 1)} for n in range(4)]


def written(chosen: Plan, store: Store, artifacts: dict[str, Artifact], **more: Any) -> tuple[dict[str, Any], str]:
    """The report's two files."""
    report.write(chosen, store, artifacts, **{"reused": set(), "sizes": SIZES} | more)
    content = store.read_text("reports", chosen.run_id, "report.json")
    text = store.read_text("reports", chosen.run_id, "report.md")
    assert content is not None and text is not None
    return json.loads(content, parse_constant=pytest.fail), text  # NaN and Infinity are no JSON


def rows_of(text: str, heading: str) -> dict[str, list[str]]:
    """The cells of the first table below a heading, by the first cell of each row."""
    lines = text.partition(f"## {heading}\n")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0]: row[1:] for row in rows[2:]}


def fits(content: Any) -> None:
    """Asserts that ``report.json`` with this content has every field of the schema, of its type, and no other."""
    adapter = TypeAdapter(Report)
    plain = json.loads(json.dumps(content))
    assert adapter.dump_python(adapter.validate_json(json.dumps(content), strict=True), mode="json") == plain
