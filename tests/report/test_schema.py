"""The schema of report.json: runs in every state fit it, and the documents are made from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.artifacts.store import Store
from orchestrator.report import storage
from orchestrator.report.content.makespan import schedule
from orchestrator.report.content.reference import COMMAND, PAGE, SCHEMA, page, schema
from tests.examples import ROOT, planned
from tests.report.examples import run_of
from tests.report.test_live import LATER, states
from tests.report.written import Made, fits, written


def test_a_whole_run_fits(tmp_path: Path) -> None:
    chosen, store, artifacts = run_of(tmp_path)
    timing = schedule(chosen.stages, artifacts, makespan=40.0, slots=2)
    fits(written(chosen, store, artifacts, timing=timing)[0])


def test_a_run_that_goes_on_fits(tmp_path: Path) -> None:
    chosen, store, artifacts = run_of(tmp_path, without=LATER)
    fits(written(chosen, store, artifacts, states=states())[0])


def test_a_run_of_which_nothing_is_there_fits(tmp_path: Path) -> None:
    fits(written(planned(), Store(str(tmp_path)), {}, sizes=[])[0])


def test_a_report_json_of_an_earlier_version_fits_once_it_is_read(whole: Made) -> None:
    content, _ = written(*whole)
    absent = ("comparisons", "sensitivity", "cost", "warnings", "images")
    old = {name: content[name] for name in content if name not in absent}
    old["seeds"] = {name: content["seeds"][name] for name in ("ladder", "students", "search", "dataset")}
    old["methods"] = [{name: row[name] for name in row if name != "ladder_seed"} for row in content["methods"]]
    old["run"] = {name: content["run"][name] for name in content["run"] if name not in ("live", "command", "precision")}
    newer = ("slot_seconds", "state", "status", "since", "error")
    old["stages"] = [{name: row[name] for name in row if name not in newer} for row in content["stages"]]
    whole[1].write_text(json.dumps(old), "reports", whole[0].run_id, "report.json")
    fits(storage.read(whole[1]))


@pytest.mark.parametrize(
    "change",
    [{"unknown": 1}, {"version": "1"}, {"warnings": None}, {"run": {}}, {"methods": [{"method": "kd"}]}],
    ids=["a field without a description", "another type", "null", "a missing field", "a missing field of a row"],
)
def test_content_with_a_wrong_type_or_an_unknown_field_is_refused(whole: Made, change: dict[str, Any]) -> None:
    content, _ = written(*whole)
    with pytest.raises((ValidationError, AssertionError)):
        fits(content | change)


def test_the_tables_of_the_documents_are_those_of_the_schema() -> None:
    text = (ROOT / PAGE).read_text()
    assert page(text) == text, f"{PAGE} is out of date; run: {COMMAND}"


def test_the_published_json_schema_is_that_of_the_program() -> None:
    assert (ROOT / SCHEMA).read_text() == schema(), f"{SCHEMA} is out of date; run: {COMMAND}"
