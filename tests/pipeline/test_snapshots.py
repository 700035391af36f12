"""Snapshots in a plan: where they come from, who scores them, and whom they teach."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from orchestrator.artifacts.store import Store
from orchestrator.artifacts.trained import snapshot_file
from orchestrator.datasets import describe
from orchestrator.pipeline import logit_source
from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.kinds import ScoreSpec, SnapshotSpec
from orchestrator.pipeline.snapshots import lacking
from orchestrator.pipeline.specs import SearchSpec, TrainSpec, apply_choice, settings_of
from tests.examples import identities, make_artifacts, planned, stage, tiny

PAST = "ladder.networks=[plain_cnn_8, {name: plain_cnn_8, at: 0.5}, {name: plain_cnn_8, at: 0.2}, plain_cnn_2]"
MIXED = (
    "ladder.networks="
    "[plain_cnn_8, {name: plain_cnn_8, at: 0.5}, plain_cnn_4, {name: plain_cnn_4, at: 0.5}, plain_cnn_2]"
)
EARLY = ("methods=[kd, kd_early]", "seeds=[0]")
SEARCHED = (*EARLY, "search.methods=[kd_early]", "search.space.early=[0.2, 0.5, 1.0]")
SOURCES = pytest.mark.parametrize("source", ["cached", "online"])


def training(chosen: Plan, name: str) -> TrainSpec:
    spec = stage(chosen, name).spec
    assert isinstance(spec, TrainSpec)
    return spec


def roles(chosen: Plan, name: str) -> list[str]:
    return [role for role, _ in stage(chosen, name).inputs]


# -- ladders -------------------------------------------------------------------------------------------------------


def test_a_snapshot_is_a_stage_that_takes_a_step_of_its_network_s_training() -> None:
    chosen = planned(PAST, "methods=[ces_kd]")
    item = stage(chosen, "snapshot/plain_cnn_8@0.2")
    assert isinstance(item.spec, SnapshotSpec)
    assert (item.spec.step, item.spec.network.name) == (6, "plain_cnn_8")
    assert dict(item.inputs) == {"data": chosen.stages[0], "network": stage(chosen, "train/plain_cnn_8")}
    assert (item.facts.part, item.facts.expert) == ("expert", "plain_cnn_8@0.2")
    assert stage(chosen, "train/plain_cnn_8").facts.snapshots == (6, 15)


def test_a_ladder_of_one_teacher_s_past_trains_no_ta() -> None:
    chosen = planned(PAST, "methods=[ces_kd]", "difficulty.scorer=mean_loss", "difficulty.held_out_folds=0")
    experts = [item.name for item in chosen.stages if item.kind == "train" and item.facts.part == "expert"]
    assert experts == ["train/plain_cnn_8"]
    labels = ["plain_cnn_8", "plain_cnn_8@0.5", "plain_cnn_8@0.2"]
    assert [expert.label for expert in chosen.ladder] == labels
    assert training(chosen, "student/ces_kd/seed-0").guidance.experts == (*reversed(labels),)
    score = stage(chosen, "score").spec
    assert isinstance(score, ScoreSpec) and score.experts == score.ladder == (*reversed(labels),)
    assert set(chosen.evaluations) == set(labels)


@SOURCES
@pytest.mark.parametrize("topology", ["direct", "sequential", "dense"])
def test_tas_are_taught_by_networks_as_they_are_in_the_end(topology: str, source: str) -> None:
    chosen = planned(
        MIXED, f"ladder.topology={topology}", f"distillation.source={source}", "methods=[ces_kd, takd, dgkd]"
    )
    assert training(chosen, "train/plain_cnn_4").guidance.experts == ("plain_cnn_8",)
    everyone = {expert.label for expert in chosen.ladder}
    assert everyone == {"plain_cnn_8", "plain_cnn_8@0.5", "plain_cnn_4", "plain_cnn_4@0.5"}
    assert (
        set(training(chosen, "student/dgkd/seed-0").guidance.experts) == everyone
    )  # one TA: the same in each topology
    assert training(chosen, "student/takd/seed-0").guidance.experts == ("plain_cnn_4@0.5",)


def test_a_snapshot_of_a_ta_for_another_topology_has_both_in_its_label() -> None:
    past = "{name: plain_cnn_4, at: 0.5}"
    chosen = planned(f"ladder.networks=[plain_cnn_8, plain_cnn_6, plain_cnn_4, {past}, plain_cnn_2]", "methods=[takd]")
    assert {expert.label for expert in chosen.others} == {"plain_cnn_4@sequential", "plain_cnn_4@sequential@0.5"}
    assert training(chosen, "student/takd/seed-0").guidance.experts == ("plain_cnn_4@sequential@0.5",)


@SOURCES
def test_snapshots_leave_every_other_stage_of_a_ladder_as_it_is(source: str) -> None:
    common = ("methods=[labels, kd]", "seeds=[0]", f"distillation.source={source}")
    plain = planned("ladder.networks=[plain_cnn_8, plain_cnn_4, plain_cnn_2]", *common)
    mixed = planned(MIXED, *common)
    trained = [item.name for item in plain.stages if item.kind in ("train", "evaluate") and item.facts.part == "expert"]
    assert {name: identities(mixed)[name] for name in trained} == {name: identities(plain)[name] for name in trained}


def test_the_learned_step_of_a_snapshot_is_that_of_its_training() -> None:
    for scorer, recorded in (("learned_step", True), ("mean_loss", False)):
        chosen = planned(PAST, "methods=[ces_kd]", f"difficulty.scorer={scorer}")
        assert training(chosen, "train/plain_cnn_8").record_learned_step == recorded
    mixed = planned(MIXED, "methods=[ces_kd]")
    assert [training(mixed, f"train/plain_cnn_{depth}").record_learned_step for depth in (8, 4)] == [False, True]


def test_folds_are_trained_as_the_network_of_the_smallest_expert() -> None:
    past = PAST.replace("[plain_cnn_8,", "[{name: plain_cnn_8, batch_size: 16, steps: 20},")
    fold = training(planned(past, "methods=[ces_kd]"), "fold/1-of-2")
    assert (fold.network.name, fold.batch_size, fold.steps) == ("plain_cnn_8", 16, 20)


# -- kd_early ------------------------------------------------------------------------------------------------------


@SOURCES
def test_without_a_search_one_snapshot_teaches(source: str) -> None:
    chosen = planned(*EARLY, "search.trials=0", "distillation.early_at=0.2", f"distillation.source={source}")
    guidance = training(chosen, "student/kd_early/seed-0").guidance
    assert (guidance.kind, guidance.experts, guidance.early) == ("single", ("plain_cnn_8@0.2",), 0.2)
    assert settings_of(training(chosen, "student/kd_early/seed-0"))["early"] == 0.2
    role = "score:kd_early" if source == "cached" else "expert:plain_cnn_8@0.2"
    assert roles(chosen, "student/kd_early/seed-0") == ["data", role]
    assert [item.name for item in chosen.stages if item.kind == "snapshot"] == ["snapshot/plain_cnn_8@0.2"]


@SOURCES
def test_a_search_chooses_among_the_shares_and_all_of_them_are_its_inputs(source: str) -> None:
    chosen = planned(*SEARCHED, f"distillation.source={source}")
    search = stage(chosen, "search/kd_early").spec
    assert isinstance(search, SearchSpec)
    for share, expert in ((0.2, "plain_cnn_8@0.2"), (0.5, "plain_cnn_8@0.5"), (1.0, "plain_cnn_8")):
        student = apply_choice(search.student, {"temperature": 2.0, "kd_weight": 0.5, "early": share})
        assert (student.guidance.experts, settings_of(student)["early"]) == ((expert,), share)
        if source == "online":
            assert f"expert:{expert}" in roles(chosen, "student/kd_early/seed-0")
    if source == "cached":
        assert roles(chosen, "search/kd_early") == ["data", "score:kd_early", "score:plain_cnn_8"]
        scored = stage(chosen, "score/kd_early").spec
        assert isinstance(scored, ScoreSpec) and scored.experts == ("plain_cnn_8@0.2", "plain_cnn_8@0.5")


def test_a_snapshot_of_the_ladder_is_scored_with_it() -> None:
    chosen = planned(PAST, *SEARCHED)
    assert roles(chosen, "search/kd_early") == ["data", "score"]
    assert len([item for item in chosen.stages if item.kind == "snapshot"]) == 2


def test_shares_that_no_student_of_a_search_has_are_no_part_of_its_identity() -> None:
    one, other = (
        planned("methods=[kd]", "search.methods=[kd]", f"search.space.early=[{share}]") for share in (0.3, 0.4)
    )
    assert identities(one) == identities(other)
    assert "early" in stage(planned(*SEARCHED), "search/kd_early").spec.model_dump(mode="json")["space"]
    assert "early" not in training(one, "student/kd/seed-0").guidance.model_dump(mode="json")


def test_a_method_that_is_taught_by_snapshots_leaves_every_other_stage_as_it_is() -> None:
    before, after = identities(planned()), identities(planned("methods=[kd_early, labels, kd, takd, dgkd, ces_kd]"))
    assert {name: identity for name, identity in before.items() if name in after and after[name] != identity} == {}


def test_stored_views_of_the_snapshots_count_where_the_source_is_chosen() -> None:
    changes = ("distillation.source=auto", "distillation.views=4", "search.trials=0", "seeds=[0]")
    kd, early = (tiny(*changes, f"methods=[{method}]") for method in ("kd", "kd_early"))
    images = describe(kd.dataset).train_images
    stored = [logit_source.choose(recipe, images).reason for recipe in (kd, early)]
    assert f"{4 * 3 * images:,} to store" in stored[0] and f"{4 * 4 * images:,} to store" in stored[1]


def test_each_ladder_has_snapshots_of_its_own_teacher() -> None:
    chosen = planned(*SEARCHED, PAST, "seeds=[0, 1]", "ladder.seeds=[3, 4]")
    names = ["snapshot/plain_cnn_8@0.5", "snapshot/plain_cnn_8@0.2"]
    found = [item.name for item in chosen.stages if item.kind == "snapshot"]
    assert found == [*names, *(f"{name}@seed-4" for name in names)]
    teacher = stage(chosen, "train/plain_cnn_8@seed-4")
    assert teacher.facts.snapshots == (6, 15)
    assert dict(stage(chosen, "snapshot/plain_cnn_8@0.5@seed-4").inputs)["network"] == teacher
    alone = planned(*SEARCHED, PAST, "seeds=[1]", "ladder.seed=4")
    assert identities(alone)["snapshot/plain_cnn_8@0.5"] == identities(chosen)["snapshot/plain_cnn_8@0.5@seed-4"]


def test_a_student_is_compared_with_every_snapshot_that_may_teach_it() -> None:
    beside = [role for role in roles(planned(*SEARCHED), "evaluate/kd_early/seed-0") if role.startswith("evaluation")]
    assert beside == [f"evaluation:{label}" for label in ("plain_cnn_8@0.2", "plain_cnn_8@0.5", "plain_cnn_8")]


# -- cached trainings ----------------------------------------------------------------------------------------------


def test_a_cached_training_without_a_snapshot_that_is_needed_is_run_once_more(tmp_path: Path) -> None:
    chosen, store = planned(PAST, "methods=[kd]"), Store(str(tmp_path))
    made = make_artifacts(chosen, store, without=["snapshot/plain_cnn_8@0.2", "snapshot/plain_cnn_8@0.5"])
    teacher = stage(chosen, "train/plain_cnn_8").identity
    assert lacking(chosen.stages, made) == {teacher: [6, 15]}
    files = made[teacher].files | {snapshot_file(6): {"sha256": "", "bytes": 1}}
    assert lacking(chosen.stages, made | {teacher: dataclasses.replace(made[teacher], files=files)}) == {teacher: [15]}


def test_a_cached_snapshot_needs_no_training(tmp_path: Path) -> None:
    chosen, store = planned(PAST, "methods=[kd]"), Store(str(tmp_path))
    made = make_artifacts(chosen, store)
    assert lacking(chosen.stages, made) == {}
    assert lacking(chosen.stages, {}) == {}
