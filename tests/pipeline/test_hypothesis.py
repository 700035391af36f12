"""Stages of the hypothesis' measurement: what they are made from, and that nothing depends on them."""

from __future__ import annotations

from orchestrator.pipeline.kinds import StrataSpec
from orchestrator.pipeline.specs import TrainSpec
from tests.examples import identities, planned, stage

ASKED = "hypothesis={matrix: true, cells: true}"


def student(name: str, *overrides: str) -> TrainSpec:
    spec = stage(planned(ASKED, *overrides), f"student/{name}/seed-0").spec
    assert isinstance(spec, TrainSpec)
    return spec


def test_no_stage_takes_the_strata_and_only_evaluations_take_evaluations() -> None:
    chosen = planned(ASKED)
    taken = {(item.kind, upstream.kind) for item in chosen.stages for _, upstream in item.inputs}
    assert "strata" not in {upstream for _, upstream in taken}
    assert {kind for kind, upstream in taken if upstream == "evaluate"} <= {"evaluate"}


def test_the_strata_are_by_the_networks_of_the_held_out_loss() -> None:
    chosen = planned(ASKED)
    strata, score = stage(chosen, "strata"), stage(chosen, "score")
    assert chosen.strata == strata and isinstance(strata.spec, StrataSpec)
    folds = {role: item.identity for role, item in strata.inputs if role != "data"}
    assert folds == {role: item.identity for role, item in score.inputs if role.startswith("fold")}
    assert (strata.spec.folds, strata.spec.strata, strata.spec.balanced) == (2, 3, False)


def test_where_the_recipe_has_no_folds_three_are_trained_for_the_strata_alone() -> None:
    chosen = planned("hypothesis=true", "difficulty.scorer=margin", "difficulty.held_out_folds=0")
    assert [role for role, _ in stage(chosen, "strata").inputs] == ["data", "fold:0", "fold:1", "fold:2"]
    assert not [role for role, _ in stage(chosen, "score").inputs if role.startswith("fold")]


def test_the_stages_of_other_methods_stay_as_they_are() -> None:
    assert identities(planned()).items() <= identities(planned(ASKED)).items()


def test_a_cell_s_expert_teaches_its_stratum_and_the_teacher_all_others_from_the_first_step() -> None:
    spec = student("cell:2:plain_cnn_4")
    assert spec.guidance.kind == "selected"
    assert spec.guidance.experts == ("plain_cnn_4", "plain_cnn_6", "plain_cnn_8")
    assert spec.curriculum is not None
    assert (spec.curriculum.mode, spec.curriculum.selector) == ("static", "table")
    assert spec.curriculum.table == ("plain_cnn_8", "plain_cnn_4", "plain_cnn_8")


def test_a_cell_does_not_depend_on_the_curriculum_of_ces_kd() -> None:
    other = ("curriculum={mode: reveal, confidence: 0.9, pacing: {family: exp}}", "search.trials=0")
    assert student("cell:1:plain_cnn_6", *other) == student("cell:1:plain_cnn_6", "search.trials=0")


def test_a_cell_differs_from_the_teacher_alone_in_who_teaches_only() -> None:
    cell, alone = student("cell:1:plain_cnn_6", "search.trials=0"), student("kd", "search.trials=0")
    same = {"guidance": alone.guidance, "curriculum": None}
    assert cell.model_copy(update=same) == alone
    assert cell.guidance.temperature == alone.guidance.temperature
    assert cell.guidance.kd_weight == alone.guidance.kd_weight


def test_a_cell_takes_what_the_search_for_the_teacher_alone_found_where_there_is_one() -> None:
    searched = planned(ASKED, "search.methods=[kd, ces_kd]")
    inputs = dict(stage(searched, "student/cell:1:plain_cnn_4/seed-0").inputs)
    assert inputs["search"].name == "search/kd"
    assert "search" not in dict(stage(planned(ASKED), "student/cell:1:plain_cnn_4/seed-0").inputs)
