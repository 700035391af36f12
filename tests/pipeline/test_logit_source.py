"""The source of experts' logits, cached or online, and the scores that store them."""

from __future__ import annotations

import pytest

from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.kinds import ScoreSpec
from tests.examples import identities, planned, stage
from tests.pipeline.test_plan import training

# -- cached or online --------------------------------------------------------------------------------------------

# 384 training images are left of 448; 4 views of them by 3 experts are 4,608 forwards, 144 batches of 32 as well.
BREAK_EVEN = ("distillation.source=auto", "methods=[labels, kd]", "seeds=[0]", "training.steps=144")


def source(*overrides: str) -> tuple[str, str]:
    chosen = planned(*overrides)
    assert training(chosen, "student/kd/seed-0").guidance.source == chosen.source.students
    return chosen.source.students, chosen.source.reason


def test_auto_stores_expert_outputs_where_that_takes_no_more_forwards() -> None:
    kind, reason = source(*BREAK_EVEN)
    assert kind == "cached"
    assert reason == "expert forwards: 4,608 to store every view, 4,608 to run experts beside what they teach"


def test_auto_runs_experts_beside_the_students_where_that_takes_fewer_forwards() -> None:
    kind, reason = source(*BREAK_EVEN, "training.steps=143")
    assert kind == "online"
    assert reason == "expert forwards: 4,608 to store every view, 4,576 to run experts beside what they teach"


@pytest.mark.parametrize(
    "more",
    [
        ["seeds=[0, 1]"],
        ["methods=[labels, kd, kd_smallest]"],
        ["methods=[kd, dgkd]"],
        ["search.methods=[kd]", "search.trials=1"],
        ["search.methods=[kd]", "search.trials=1", "search.steps=1"],
    ],
)
def test_every_student_and_trial_counts_towards_storing(more: list[str]) -> None:
    assert source(*BREAK_EVEN, "training.steps=143", *more)[0] == "cached"


def test_without_a_fixed_number_of_views_nothing_can_be_stored() -> None:
    kind, reason = source(*BREAK_EVEN, "distillation.views=0")
    assert kind == "online" and "distillation.views is 0" in reason


@pytest.mark.parametrize("wanted", ["cached", "online"])
def test_a_source_that_the_recipe_names_is_taken(wanted: str) -> None:
    assert source(f"distillation.source={wanted}") == (wanted, "as the recipe says")


def test_a_student_waits_for_its_experts_or_for_their_stored_outputs() -> None:
    assert {role for role, _ in stage(planned("distillation.source=online"), "student/dgkd/seed-0").inputs} == {
        "data", "expert:plain_cnn_8", "expert:plain_cnn_6", "expert:plain_cnn_4@dense",
    }  # fmt: skip
    assert {role for role, _ in stage(planned("distillation.source=cached"), "student/dgkd/seed-0").inputs} == {
        "data", "score:plain_cnn_8", "score:plain_cnn_6", "score:dense",
    }  # fmt: skip


# -- TAs that read as well ---------------------------------------------------------------------------------------

SHORT = (
    "distillation.source=cached",
    "training.steps=48",
)  # 4 passes over 384 images by 32, as many as there are views


def scores(chosen: Plan) -> dict[str, tuple[str, ...]]:
    return {item.name: item.spec.experts for item in chosen.stages if isinstance(item.spec, ScoreSpec)}


def test_tas_read_stored_outputs_where_every_pass_has_a_different_view() -> None:
    spec = training(planned(*SHORT), "train/plain_cnn_6")
    assert (spec.guidance.source, spec.views) == ("cached", 4)


@pytest.mark.parametrize(
    "longer", ["{name: plain_cnn_6, steps: 49}, plain_cnn_4", "plain_cnn_6, {name: plain_cnn_4, steps: 49}"]
)
def test_where_one_ta_takes_more_passes_all_see_new_views_with_their_experts_beside_them(longer: str) -> None:
    chosen = planned(*SHORT, f"ladder.networks=[plain_cnn_8, {longer}, plain_cnn_2]")
    for name in ("train/plain_cnn_6", "train/plain_cnn_4", "train/plain_cnn_4@dense"):
        assert (training(chosen, name).guidance.source, training(chosen, name).views) == ("online", 0)
    assert scores(chosen) == {
        "score": ("plain_cnn_4", "plain_cnn_6", "plain_cnn_8"),
        "score/sequential": ("plain_cnn_4@sequential",),
        "score/dense": ("plain_cnn_4@dense",),
    }


def test_each_expert_that_may_teach_a_ta_is_scored_separately_once_it_is_trained() -> None:
    chosen = planned(*SHORT)
    assert scores(chosen) == {
        "score/plain_cnn_8": ("plain_cnn_8",),
        "score/plain_cnn_6": ("plain_cnn_6",),
        "score": ("plain_cnn_4",),
        "score/sequential": ("plain_cnn_4@sequential",),
        "score/dense": ("plain_cnn_4@dense",),
    }
    main = stage(chosen, "score")
    assert isinstance(main.spec, ScoreSpec) and main.spec.ladder == ("plain_cnn_4", "plain_cnn_6", "plain_cnn_8")
    assert {"score:plain_cnn_8", "score:plain_cnn_6"} <= {role for role, _ in main.inputs}


def test_tas_that_may_read_count_towards_storing() -> None:
    # 3 experts' 4 views are 144 batches; the student takes 48 steps, the TAs of the ladder twice as many.
    auto = ("distillation.source=auto", "methods=[labels, kd]", "seeds=[0]")
    assert planned(*auto, "training.steps=48").source.students == "cached"
    assert planned(*auto, "training.steps=47").source.students == "online"
    # Those of other topologies count too: one expert for takd's smallest TA, two for dgkd's.
    assert planned(*auto, "training.steps=36", "methods=[labels, takd]").source.students == "cached"
    assert planned(*auto, "training.steps=35", "methods=[labels, takd]").source.students == "online"


def test_expert_outputs_are_stored_once_for_all_their_readers() -> None:
    chosen = planned()
    held = [expert for experts in scores(chosen).values() for expert in experts]
    assert len(held) == len(set(held)) == len((*chosen.ladder, *chosen.others))
    stored = {item.identity for item in chosen.stages if item.kind == "score"}
    for final in chosen.finals:
        taken = {upstream.identity for role, upstream in final.train.inputs if role.startswith("score")}
        assert taken <= stored and bool(taken) == (final.method != "labels")


def test_a_top_k_shortens_what_scores_store_and_trains_no_expert_of_the_scratch_ladder_again() -> None:
    scratch = "ladder.topology=scratch"
    before, chosen = (identities(planned(scratch, "methods=[kd]", *more)) for more in ((), ("distillation.top_k=2",)))
    changed = {name for name in chosen if chosen[name] != before[name]}
    assert changed == {name for name in chosen if name.startswith(("score", "search", "student", "evaluate/kd"))}


def test_a_top_k_of_all_classes_is_no_top_k() -> None:
    for top_k in (4, 10):  # the data have 4 classes
        assert identities(planned(f"distillation.top_k={top_k}")) == identities(planned())


def test_a_score_without_a_top_k_has_the_plain_form_that_it_had_before_there_was_one() -> None:
    score = stage(planned(), "score").spec
    assert not {"top_k", "code"} & score.model_dump(mode="json").keys()
    shortened = stage(planned("distillation.top_k=2"), "score").spec.model_dump(mode="json")
    assert shortened["top_k"] == 2 and ScoreSpec.from_plain(shortened).top_k == 2
