"""The timeline: stages on lanes of their nodes, without the time when nothing ran."""

from __future__ import annotations

from orchestrator.pipeline.placement import Part
from orchestrator.report.content.schema import StageRow
from orchestrator.report.page.figures.timeline import lanes, timeline, without_pauses


def test_stages_of_one_node_that_overlap_lie_on_lanes_of_their_own() -> None:
    spans = [("a", 0.0, 10.0), ("a", 5.0, 8.0), ("a", 8.0, 9.0), ("b", 6.0, 7.0), ("a", 10.0, 12.0)]
    assert lanes(spans) == [0, 1, 1, 0, 0]


def test_time_without_any_stage_is_cut_out_and_said() -> None:
    moved, cuts = without_pauses([(5000.0, 5010.0), (100.0, 110.0), (105.0, 130.0), (5005.0, 5020.0)])
    assert moved == [(30.0, 40.0), (0.0, 10.0), (5.0, 30.0), (35.0, 50.0)]
    assert cuts == [(30.0, 4870.0)]


def test_a_short_pause_is_not_cut_out_of_the_timeline() -> None:
    assert without_pauses([(0.0, 1.0), (50.0, 51.0)]) == ([(0.0, 1.0), (50.0, 51.0)], [])


def stage(name: str, kind: str, start: float | None, reused: bool = False, part: Part | None = None) -> StageRow:
    return {
        "name": name, "kind": kind, "part": part, "id": f"{kind}-0", "reused": reused, "start": start,
        "end": None if start is None else start + 2, "node": "here", "slot_seconds": 2.0, "state": "done",
        "status": "", "since": None, "error": None,
    }  # fmt: skip


def test_each_stage_is_a_bar_of_its_kind_and_kept_ones_are_hatched() -> None:
    stages = [stage("ingest", "ingest", 0.0, reused=True), stage("student/kd/seed-0", "train", 5.0, part="student")]
    drawn = timeline([*stages, stage("search", "search", None)])
    assert drawn is not None
    bars = {trace["name"]: trace for trace in drawn[0]["data"]}
    assert bars.keys() == {"ingest", "student"}
    assert bars["ingest"]["marker"]["pattern"]["shape"] == ["/"] and bars["student"]["marker"]["pattern"]["shape"] == [
        ""
    ]
    assert (bars["student"]["base"], bars["student"]["x"]) == ([5.0], [2.0])


def test_there_is_no_timeline_before_a_stage_is_done() -> None:
    assert timeline([stage("ingest", "ingest", None)]) is None
