"""Guidance of each network in a plan, and the source of expert outputs."""

from __future__ import annotations

import pytest

from orchestrator.datasets import describe
from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.kinds import EvaluateSpec
from orchestrator.pipeline.plan import plan
from orchestrator.pipeline.specs import GuidanceSpec, SearchSpec, TrainSpec
from orchestrator.recipe.methods import METHODS, Method
from tests.examples import identities, planned, stage, tiny


def training(chosen: Plan, name: str) -> TrainSpec:
    spec = stage(chosen, name).spec
    assert isinstance(spec, TrainSpec)
    return spec


def guidance(chosen: Plan, name: str) -> tuple[str, tuple[str, ...]]:
    found: GuidanceSpec = training(chosen, name).guidance
    return found.kind, found.experts


# -- topologies --------------------------------------------------------------------------------------------------

LABELS: tuple[str, tuple[str, ...]] = ("labels", ())
BY_TEACHER = ("single", ("plain_cnn_8",))
TOPOLOGIES: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "direct": {"plain_cnn_6": BY_TEACHER, "plain_cnn_4": BY_TEACHER},
    "sequential": {"plain_cnn_6": BY_TEACHER, "plain_cnn_4": ("single", ("plain_cnn_6",))},
    "dense": {"plain_cnn_6": BY_TEACHER, "plain_cnn_4": ("dense", ("plain_cnn_6", "plain_cnn_8"))},
    "scratch": {"plain_cnn_6": LABELS, "plain_cnn_4": LABELS},
}


@pytest.mark.parametrize(("source", "role"), [("online", "expert"), ("cached", "score")])
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_topology_determines_the_experts_that_guide_each_ta(topology: str, source: str, role: str) -> None:
    chosen = planned(f"ladder.topology={topology}", "methods=[ces_kd]", f"distillation.source={source}")
    assert guidance(chosen, "train/plain_cnn_8") == LABELS
    for network, expected in TOPOLOGIES[topology].items():
        assert guidance(chosen, f"train/{network}") == expected
        found = {found for found, _ in stage(chosen, f"train/{network}").inputs}
        assert found == {"data", *(f"{role}:{expert}" for expert in expected[1])}


def test_the_smallest_expert_alone_records_when_images_are_learned() -> None:
    chosen = planned("methods=[ces_kd]")
    recording = [name for name in ("8", "6", "4") if training(chosen, f"train/plain_cnn_{name}").record_learned_step]
    assert recording == ["4"]


def test_a_network_s_steps_and_learning_rate_apply_to_it_only() -> None:
    chosen = planned("ladder.networks=[plain_cnn_8, {name: plain_cnn_4, steps: 9, learning_rate: 0.5}, plain_cnn_2]")
    own, other = training(chosen, "train/plain_cnn_4"), training(chosen, "train/plain_cnn_8")
    assert (own.steps, own.optimizer.learning_rate) == (9, 0.5)
    assert (other.steps, other.optimizer.learning_rate) == (30, 0.1)


# -- methods -----------------------------------------------------------------------------------------------------


def planned_with(row: Method, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A plan of the cached source with a method that the program does not have."""
    monkeypatch.setitem(METHODS, row.name, row)
    asked = tiny("distillation.source=cached", "search.trials=0").model_copy(update={"methods": ("kd", row.name)})
    return plan(asked, describe(asked.dataset))


def test_a_method_may_have_a_kind_of_guidance_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Method("other", "teacher", "the teacher", METHODS["kd"].look, guidance="other")
    chosen = planned_with(row, monkeypatch)
    assert guidance(chosen, "student/other/seed-0") == ("other", ("plain_cnn_8",))
    assert training(chosen, "student/other/seed-0").guidance.source == "cached"


def test_a_method_that_reads_experts_networks_has_them_beside_the_student(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Method("other", "teacher", "the teacher", METHODS["kd"].look, guidance="other", reads_networks=True)
    chosen = planned_with(row, monkeypatch)
    assert training(chosen, "student/other/seed-0").guidance.source == "online"
    assert {role for role, _ in stage(chosen, "student/other/seed-0").inputs} == {"data", "expert:plain_cnn_8"}
    assert training(chosen, "student/kd/seed-0").guidance.source == "cached"


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("labels", LABELS),
        ("kd", BY_TEACHER),
        ("kd_smallest", ("single", ("plain_cnn_4",))),
        ("takd", ("single", ("plain_cnn_4@sequential",))),
        ("dgkd", ("dense", ("plain_cnn_4@dense", "plain_cnn_6", "plain_cnn_8"))),
        ("dgkd_stochastic", ("dense", ("plain_cnn_4@dense", "plain_cnn_6", "plain_cnn_8"))),
        ("ces_kd", ("selected", ("plain_cnn_4", "plain_cnn_6", "plain_cnn_8"))),
        ("ces_random", ("selected", ("plain_cnn_4", "plain_cnn_6", "plain_cnn_8"))),
        ("ces_reversed", ("selected", ("plain_cnn_4", "plain_cnn_6", "plain_cnn_8"))),
    ],
)
def test_a_method_determines_the_experts_that_guide_the_student(
    method: str, expected: tuple[str, tuple[str, ...]]
) -> None:
    chosen = planned()
    assert guidance(chosen, f"student/{method}/seed-0") == expected
    spec = training(chosen, f"student/{method}/seed-0")
    assert spec.network.name == "plain_cnn_2"
    assert spec.guidance.stochastic_drop == (0.5 if method == "dgkd_stochastic" else 0.0)
    control = {"ces_kd": "none", "ces_random": "random", "ces_reversed": "reversed"}.get(method)
    assert (spec.curriculum.control if spec.curriculum else None) == control


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_the_methods_of_other_papers_have_a_fixed_topology(topology: str) -> None:
    chosen = planned(f"ladder.topology={topology}", "methods=[takd, dgkd]")
    by_label = {expert.label: expert for expert in (*chosen.ladder, *chosen.others)}
    for method, wanted in (("takd", "sequential"), ("dgkd", "dense")):
        _, (smallest, *_) = guidance(chosen, f"student/{method}/seed-0")
        kind, experts = guidance(chosen, by_label[smallest].stage.name)
        assert (kind, tuple(name.partition("@")[0] for name in experts)) == TOPOLOGIES[wanted]["plain_cnn_4"]


@pytest.mark.parametrize("methods", ["[takd, dgkd]", "[dgkd, takd]"])
def test_a_ta_that_two_topologies_share_has_one_name_whichever_is_asked_for_first(methods: str) -> None:
    chosen = planned("ladder.topology=scratch", f"methods={methods}")
    assert {expert.label for expert in chosen.others} == {
        "plain_cnn_6@direct",
        "plain_cnn_4@sequential",
        "plain_cnn_4@dense",
    }
    assert len(chosen.others) == 3


def test_equal_stages_are_one_stage() -> None:
    chosen = planned("ladder.topology=sequential", "methods=[kd_smallest, takd]", "seeds=[5]")
    smallest, takd = chosen.finals
    assert (smallest.method, takd.method) == ("kd_smallest", "takd")
    assert smallest.train is takd.train and smallest.evaluate is takd.evaluate
    assert "student/takd/seed-5" not in identities(chosen)


def test_with_one_expert_the_teacher_is_also_the_smallest_and_all_of_them() -> None:
    chosen = planned("ladder.networks=[plain_cnn_4, plain_cnn_2]", "methods=[kd, kd_smallest, takd, dgkd]", "seeds=[0]")
    assert len({final.train.identity for final in chosen.finals}) == 1


NO_TA = "ladder.networks=[plain_cnn_8, plain_cnn_2]"
EVERY_METHOD = "methods=[labels, kd, kd_smallest, takd, dgkd, dgkd_stochastic, ces_kd, ces_random, ces_reversed]"


def test_a_method_whose_students_are_those_of_an_earlier_one_is_named_with_it() -> None:
    assert planned().coinciding == {}
    with_one_ta = planned("ladder.networks=[plain_cnn_8, plain_cnn_4, plain_cnn_2]")
    assert with_one_ta.coinciding == {"takd": "kd_smallest"}


@pytest.mark.parametrize("mode", ["static", "promote", "reveal", "both"])
def test_without_a_ta_methods_that_can_t_differ_are_trained_once(mode: str) -> None:
    chosen = planned(NO_TA, EVERY_METHOD, "search.trials=0", f"curriculum.mode={mode}")
    # A curriculum that holds images back differs from ``kd`` with one expert too; its controls don't differ from it.
    ces = "kd" if mode in ("static", "promote") else "ces_kd"
    same = dict.fromkeys(("kd_smallest", "takd", "dgkd", "dgkd_stochastic"), "kd")
    controls = {"ces_random": ces, "ces_reversed": ces}
    assert chosen.coinciding == same | controls | ({"ces_kd": "kd"} if ces == "kd" else {})
    students = {final.train.identity for final in chosen.finals}
    assert len(students) == 2 * (3 if ces == "ces_kd" else 2)  # two seeds
    assert len([item for item in chosen.stages if item.name.startswith("student/")]) == len(students)


def test_without_a_ta_methods_that_can_t_differ_share_a_search() -> None:
    chosen = planned(NO_TA, EVERY_METHOD, "search.methods=null")
    assert len({search.identity for search in chosen.searches.values()}) == 2  # kd's, and ces_kd's with its curriculum
    assert set(chosen.coinciding.values()) == {"kd", "ces_kd"}


def test_every_final_student_and_every_expert_is_tested_once() -> None:
    chosen = planned()
    tested = [dict(item.inputs)["network"].identity for item in chosen.stages if item.kind == "evaluate"]
    trained = [final.train.identity for final in chosen.finals]
    assert len(tested) == len(set(tested))
    assert set(tested) == {*trained, *(expert.stage.identity for expert in (*chosen.ladder, *chosen.others))}


def test_a_taught_student_is_tested_beside_its_experts_and_the_teacher() -> None:
    chosen = planned("methods=[labels, takd, dgkd]", "seeds=[0]")
    found = {}
    for final in chosen.finals:
        spec, inputs = final.evaluate.spec, dict(final.evaluate.inputs)
        assert isinstance(spec, EvaluateSpec) and not spec.stores_logits
        found[final.method] = spec.experts
        assert inputs.keys() == {"data", "network", *(f"evaluation:{label}" for label in spec.experts)}
        for label in spec.experts:
            assert inputs[f"evaluation:{label}"] is chosen.evaluations[label]
    assert found == {
        "labels": (),
        "takd": ("plain_cnn_4@sequential", "plain_cnn_8"),
        "dgkd": ("plain_cnn_4@dense", "plain_cnn_6", "plain_cnn_8"),
    }
    for evaluation in chosen.evaluations.values():
        assert isinstance(evaluation.spec, EvaluateSpec) and evaluation.spec.stores_logits


def test_final_students_alone_store_both_weights() -> None:
    chosen = planned()
    trainings = {item.name: item.spec for item in chosen.stages if isinstance(item.spec, TrainSpec)}
    assert {name for name, spec in trainings.items() if spec.both_weights} == {
        final.train.name for final in chosen.finals
    }
    assert not any(search.spec.student.both_weights for search in chosen.searches.values())  # type: ignore[attr-defined]


# -- scores and searches -----------------------------------------------------------------------------------------


def test_nothing_is_scored_or_searched_for_the_methods_that_do_not_ask_for_it() -> None:
    chosen = planned("methods=[labels, kd, dgkd]", "distillation.source=online")
    assert {item.kind for item in chosen.stages}.isdisjoint({"score", "search"})
    assert chosen.score is None and chosen.searches == {}


@pytest.mark.parametrize(("mode", "scored"), [("static", False), ("promote", False), ("reveal", True), ("both", True)])
def test_with_one_expert_images_are_scored_where_the_curriculum_holds_some_back(mode: str, scored: bool) -> None:
    chosen = planned(
        NO_TA, "methods=[ces_kd]", "search.trials=0", f"curriculum.mode={mode}", "distillation.source=online"
    )
    assert (chosen.score is not None) == scored
    assert ("score" in {item.kind for item in chosen.stages}) == scored


def test_the_held_out_loss_as_scorer_brings_three_folds_by_itself() -> None:
    chosen = planned("difficulty.held_out_folds=0", "difficulty.scorer=held_out_loss")
    assert [name for name in identities(chosen) if name.startswith("fold/")] == [f"fold/{n}-of-3" for n in (1, 2, 3)]
    assert guidance(chosen, "fold/1-of-3") == LABELS
    assert training(chosen, "fold/2-of-3").fold == 1


def test_a_table_is_part_of_the_searches_for_a_curriculum_alone() -> None:
    common = ("search.methods=null", "search.space.selectors=[table]")
    free, fixed = planned(*common), planned(*common, "search.space.table=[plain_cnn_4, plain_cnn_8]")
    for name, search in free.searches.items():
        assert (fixed.searches[name].identity == search.identity) == (name != "ces_kd")


def test_every_method_that_an_expert_teaches_is_searched_unless_the_recipe_names_some() -> None:
    chosen = planned("search.methods=null")
    assert list(chosen.searches) == ["kd", "kd_smallest", "takd", "dgkd", "dgkd_stochastic", "ces_kd"]
    trials = {search.spec.trials for search in chosen.searches.values() if isinstance(search.spec, SearchSpec)}
    assert trials == {4}
    for final in chosen.finals:
        spec = training(chosen, final.train.name)
        assert spec.searched is (final.method != "labels")


def test_a_searched_learning_rate_gives_every_method_labels_too_a_search_of_as_many_trials() -> None:
    chosen = planned("search.methods=null", "search.space.learning_rate=[0.02, 0.4]")
    assert list(chosen.searches) == ["labels", "kd", "kd_smallest", "takd", "dgkd", "dgkd_stochastic", "ces_kd"]
    assert {search.spec.trials for search in chosen.searches.values() if isinstance(search.spec, SearchSpec)} == {4}
    assert all(training(chosen, final.train.name).searched for final in chosen.finals)
    assert [role for role, _ in stage(chosen, "search/labels").inputs] == ["data"]
    assert dict(stage(chosen, "student/labels/seed-1").inputs)["search"] is chosen.searches["labels"]
    without = planned("search.methods=[ces_kd]", "search.space.learning_rate=[0.02, 0.4]")
    assert list(without.searches) == ["ces_kd"]


def test_controls_use_the_settings_that_the_search_for_ces_kd_found() -> None:
    chosen = planned()
    search = stage(chosen, "search")
    for method in ("ces_kd", "ces_random", "ces_reversed"):
        assert dict(stage(chosen, f"student/{method}/seed-0").inputs)["search"] is search
        assert training(chosen, f"student/{method}/seed-0").searched
    assert "search" not in dict(stage(chosen, "student/kd/seed-0").inputs)


def test_without_trials_the_recipe_s_curriculum_is_used() -> None:
    chosen = planned("search.trials=0", "curriculum.mode=static")
    spec = training(chosen, "student/ces_kd/seed-0")
    assert not spec.searched and spec.curriculum is not None and spec.curriculum.mode == "static"


def test_a_trial_has_the_search_s_seed_and_steps() -> None:
    spec = stage(planned("search.seed=77", "search.steps=12"), "search").spec
    assert isinstance(spec, SearchSpec)
    assert (spec.student.seed, spec.student.steps) == (77, 12)
