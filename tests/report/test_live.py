"""The page of a run that goes on: what is at work, what failed and why, and the trials so far."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.pipeline.stage_state import StageState
from tests.examples import identities, planned
from tests.report.examples import page, read, run_of, trials, words

LATER = ("search", *(stage.name for stage in planned().stages if "/ces_" in stage.name))


def states(**changes: StageState) -> dict[str, StageState]:
    """A search that is at work, and students that wait for it."""
    known = identities(planned())
    found = {known[name]: StageState("waiting") for name in LATER}
    found[known["search"]] = StageState("running", "trials 3 of 6", since=1000.0)
    return found | {known[name]: state for name, state in changes.items()}


def test_the_page_says_what_is_at_work_and_how_far(tmp_path: Path) -> None:
    text = page(run_of(tmp_path, without=LATER), states())
    said = words(text, "status")
    assert "The run goes on" in said and "1 running" in said and f"{len(LATER) - 1} waiting" in said
    assert "search trials 3 of 6" in said.replace("searchtrials", "search trials")
    assert 'data-since="1000.0"' in text and 'data-live="yes"' in text


def test_the_page_says_what_failed_and_why_and_what_could_not_be_done(tmp_path: Path) -> None:
    known = identities(planned())
    error = "ValueError: the <loss> diverged\nTraceback, line 3"
    said = states(search=StageState("failed", error=error))
    said |= {known[name]: StageState("blocked") for name in LATER if name != "search"}
    text = page(run_of(tmp_path, without=LATER), said)
    shown = words(text, "status")
    assert "not complete" in shown and "1 failed" in shown and f"{len(LATER) - 1} blocked" in shown
    assert "search: ValueError: the <loss> diverged" in shown and "line 3" in shown
    assert "data-live" not in text.partition("<body")[2][:200]


def test_a_whole_run_s_page_says_nothing_of_a_state_and_does_not_load_itself_again(tmp_path: Path) -> None:
    text = page(run_of(tmp_path), {})
    assert "status" not in read(text).text and "<body>" in text


def test_a_stage_with_an_artifact_is_done_whatever_its_last_status(tmp_path: Path) -> None:
    made = run_of(tmp_path)
    page(made, {identities(made[0])["search"]: StageState("running", "trials 5 of 6", since=1.0)})
    content = json.loads(made[1].read_text("reports", made[0].run_id, "report.json") or "")
    (row,) = (row for row in content["stages"] if row["name"] == "search")
    assert (row["state"], row["status"], row["since"], row["error"]) == ("done", "", None, None)
    assert content["run"]["live"] is False


def test_trials_show_while_the_search_goes_on(tmp_path: Path) -> None:
    made = run_of(tmp_path, without=LATER)
    store = made[1]
    before = words(page(made, states()), "answers")
    assert "No trial has ended yet" in before
    store.write_text(json.dumps(trials(5)), "trials", f"{identities(made[0])['search']}.json")
    text = page(made, states())
    assert "5 trials so far" in words(text, "answers") and "It goes on: 5 trials so far" in words(text, "search")
    curves = next(figure for figure in read(text).figures if "fraction in play" in json.dumps(figure["layout"]))
    assert sum(trace["name"].startswith("trial") for trace in curves["data"] if "name" in trace) == 5


@pytest.mark.parametrize("state", ["waiting", "running"])
def test_a_run_is_live_while_a_stage_waits_or_runs(tmp_path: Path, state: str) -> None:
    made = run_of(tmp_path, without=LATER)
    page(made, {identities(made[0])["search"]: StageState(state)})  # type: ignore[arg-type]
    content = json.loads(made[1].read_text("reports", made[0].run_id, "report.json") or "")
    assert content["run"]["live"] is True and content["run"]["complete"] is False
