"""The least time that a run's stages could have taken."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from orchestrator.artifacts.store import Artifact
from orchestrator.report.content.build import slot_seconds
from orchestrator.report.content.makespan import schedule
from tests.report.written import Made


def costing(artifacts: dict[str, Artifact], seconds: float, width: int = 1) -> dict[str, Artifact]:
    cost = {"cost": {"slot_seconds": seconds, "width": width}}
    return {key: dataclasses.replace(item, results=item.results | cost) for key, item in artifacts.items()}


def test_with_many_slots_the_longest_chain_of_stages_bounds(whole: Made) -> None:
    plan, _, artifacts = whole
    found = schedule(plan.stages, costing(artifacts, 3.0), makespan=100.0, slots=1000)
    names = found["critical_path"]
    inputs = {stage.name: {item.name for _, item in stage.inputs} for stage in plan.stages}
    assert names[0] == "ingest" and not any(names[-1] in needed for needed in inputs.values())
    assert all(before in inputs[after] for before, after in itertools.pairwise(names))
    assert found["lower_bound_seconds"] == found["critical_path_seconds"] == pytest.approx(3.0 * len(names))
    assert found["ratio"] == pytest.approx(100 / found["lower_bound_seconds"])


def test_with_few_slots_the_work_bounds(whole: Made) -> None:
    plan, _, artifacts = whole
    found = schedule(plan.stages, costing(artifacts, 3.0), makespan=100.0, slots=2)
    assert found["work_seconds"] == pytest.approx(3.0 * len(plan.stages))
    assert found["lower_bound_seconds"] == pytest.approx(1.5 * len(plan.stages))


def test_a_stage_of_several_workers_is_as_quick_as_the_slots_that_it_can_use(whole: Made) -> None:
    plan, _, artifacts = whole
    only = {plan.stages[0].identity: artifacts[plan.stages[0].identity]}
    for width, slots, seconds in ((4, 8, 3.0), (4, 2, 6.0), (1, 8, 12.0)):
        found = schedule(plan.stages, costing(only, 12.0, width), makespan=20.0, slots=slots)
        assert found["critical_path_seconds"] == pytest.approx(seconds)


def test_stages_that_were_kept_from_before_count_for_nothing(whole: Made) -> None:
    plan, _, artifacts = whole
    last = plan.finals[-1].evaluate.identity
    found = schedule(plan.stages, costing({last: artifacts[last]}, 3.0), makespan=4.0, slots=2)
    assert found["stages"] == 1 and found["lower_bound_seconds"] == pytest.approx(3.0)


def test_earlier_work_on_an_artifact_that_was_added_to_counts_for_nothing(whole: Made) -> None:
    plan, _, artifacts = whole
    cost = {"cost": {"slot_seconds": 3.0, "width": 1, "earlier_slot_seconds": 1000.0}}
    last = plan.finals[-1].train.identity
    extended = dataclasses.replace(artifacts[last], results=artifacts[last].results | cost)
    assert schedule(plan.stages, {last: extended}, makespan=4.0, slots=2)["work_seconds"] == pytest.approx(3.0)
    assert slot_seconds(extended) == 1003.0


def test_a_run_that_made_nothing_has_no_ratio(whole: Made) -> None:
    assert schedule(whole[0].stages, {}, makespan=1.0, slots=2)["ratio"] is None
