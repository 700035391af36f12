"""Plans of the methods of several experts, of each expert alone, and of the control by the teacher."""

from __future__ import annotations

import pytest

from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.specs import SearchSpec, TrainSpec
from orchestrator.recipe.methods import METHODS
from orchestrator.stages.trial import log_folder
from tests.examples import planned, stage

ALL = ("plain_cnn_4", "plain_cnn_6", "plain_cnn_8")
ONE_TA = "ladder.networks=[plain_cnn_8, plain_cnn_4, plain_cnn_2]"
NO_TA = "ladder.networks=[plain_cnn_8, plain_cnn_2]"
SOURCES = pytest.mark.parametrize("source", ["online", "cached"])
TOPOLOGY = pytest.mark.parametrize("topology", ["direct", "sequential", "dense", "scratch"])


def training(chosen: Plan, method: str, seed: int = 0) -> TrainSpec:
    spec = stage(chosen, f"student/{method}/seed-{seed}").spec
    assert isinstance(spec, TrainSpec)
    return spec


def asked(*methods: str) -> str:
    return f"methods=[{', '.join(methods)}]"


# -- several experts at once, and weights --------------------------------------------------------------------------


@SOURCES
@pytest.mark.parametrize(
    ("method", "kind", "experts"),
    [("kd_mean", "mean", ALL), ("kd_weighted", "weighted", ALL), ("kd_image_weight", "image_weight", ALL[2:])],
)
def test_a_method_s_kind_and_experts(method: str, kind: str, experts: tuple[str, ...], source: str) -> None:
    guidance = training(planned(asked(method), f"distillation.source={source}"), method).guidance
    assert (guidance.kind, guidance.experts, guidance.source) == (kind, experts, source)


def test_the_only_expert_of_a_ladder_teaches_alone_whatever_combines_it_with_others() -> None:
    chosen = planned(asked("kd", "kd_mean", "kd_weighted", "kd_image_weight"), NO_TA)
    assert chosen.coinciding == {"kd_mean": "kd", "kd_weighted": "kd"}


# -- one expert ----------------------------------------------------------------------------------------------------


@SOURCES
@TOPOLOGY
def test_each_expert_alone_is_that_of_the_recipe_s_own_ladder(source: str, topology: str) -> None:
    chosen = planned(asked("kd:*"), f"distillation.source={source}", f"ladder.topology={topology}")
    assert chosen.others == ()
    for name in ALL:
        guidance = training(chosen, f"kd:{name}").guidance
        assert (guidance.kind, guidance.experts) == ("single", (name,))


def test_the_largest_and_the_smallest_alone_are_the_students_of_the_methods_that_name_them_so() -> None:
    chosen = planned(asked("kd", "kd_smallest", "kd:*"), "search.methods=")
    assert chosen.coinciding == {"kd:plain_cnn_8": "kd", "kd:plain_cnn_4": "kd_smallest"}
    assert set(chosen.searches) == {"kd", "kd_smallest", "kd:plain_cnn_8", "kd:plain_cnn_6", "kd:plain_cnn_4"}
    assert [item.name for item in chosen.stages if item.kind == "search"] == [
        "search/kd", "search/kd_smallest", "search/kd:plain_cnn_6",
    ]  # fmt: skip


def test_each_expert_has_a_search_of_its_own_with_the_same_trials() -> None:
    chosen = planned(asked("kd:*"), "search.methods=")
    specs = [chosen.searches[f"kd:{name}"].spec for name in ALL]
    assert all(isinstance(spec, SearchSpec) and spec.trials == 4 for spec in specs)
    assert len({chosen.searches[f"kd:{name}"].identity for name in ALL}) == 3


def test_the_folder_of_a_search_s_trials_is_a_plain_name() -> None:
    class Search:
        name, short_identity = "search/kd:timm:resnet18", "0123"

    assert log_folder(Search()) == "search-kd-timm-resnet18-0123"  # type: ignore[arg-type]


# -- the control by the teacher ------------------------------------------------------------------------------------


@SOURCES
@pytest.mark.parametrize("mode", ["reveal", "both"])
def test_the_control_by_the_teacher_has_the_curriculum_of_its_method_and_the_teacher_alone(
    mode: str, source: str
) -> None:
    chosen = planned(
        asked("ces_kd", "ces_teacher"), "search.trials=0", f"curriculum.mode={mode}", f"distillation.source={source}"
    )
    found, wanted = training(chosen, "ces_teacher"), training(chosen, "ces_kd")
    assert (found.guidance.kind, found.guidance.experts) == ("selected", ALL[2:])
    experts = {"experts": wanted.guidance.experts}
    assert found.model_copy(update={"guidance": found.guidance.model_copy(update=experts)}) == wanted
    score = {role for role, _ in stage(chosen, "student/ces_teacher/seed-0").inputs} - {"data"}
    assert "score" in score and ("expert:plain_cnn_8" in score) == (source == "online")


@pytest.mark.parametrize("ladder", ["direct", "scratch"])
def test_it_shares_the_search_of_its_method(ladder: str) -> None:
    chosen = planned(asked("ces_kd", "ces_teacher"), f"ladder.topology={ladder}")
    assert list(chosen.searches) == ["ces_kd"]
    searches = [dict(stage(chosen, f"student/{name}/seed-0").inputs)["search"] for name in ("ces_kd", "ces_teacher")]
    assert searches[0] is searches[1]
    assert training(chosen, "ces_teacher").searched


@pytest.mark.parametrize("mode", ["static", "promote"])
def test_where_no_image_is_held_back_and_nothing_is_searched_it_is_kd(mode: str) -> None:
    chosen = planned(asked("kd", "ces_kd", "ces_teacher"), "search.trials=0", f"curriculum.mode={mode}")
    assert chosen.coinciding == {"ces_teacher": "kd"}


def test_with_one_expert_it_is_its_method() -> None:
    chosen = planned(asked("ces_kd", "ces_teacher"), NO_TA)
    assert chosen.coinciding == {"ces_teacher": "ces_kd"}


# -- all of them ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ladder", [ONE_TA, NO_TA])
@TOPOLOGY
def test_every_method_can_be_planned_on_every_ladder(ladder: str, topology: str) -> None:
    chosen = planned(asked(*METHODS, "kd:*"), ladder, f"ladder.topology={topology}", "search.methods=")
    names = [item.name for item in chosen.stages]
    assert len(names) == len(set(names))
    assert {final.method for final in chosen.finals} >= set(METHODS)
