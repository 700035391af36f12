"""The search's choice of experts: every subset but the empty one, as one value of a point."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import optuna
import pytest

from orchestrator.artifacts.store import Store
from orchestrator.artifacts.trained import ASSIGNMENTS
from orchestrator.pipeline.specs import SearchSpec, apply_choice, settings_of
from orchestrator.recipe.search_space import SpaceSpec
from orchestrator.report.content.measures import experts_by_stratum
from orchestrator.report.page.figures.trials import importances
from orchestrator.search.proposals import propose
from tests.examples import identities, make_artifacts, planned, refusal
from tests.report.examples import page, words
from tests.search.test_proposals import played, search, student

ANY = SpaceSpec.from_plain({"experts": "any"})
SUBSETS = ["small", "large", "small+large"]


def proposed(space: SpaceSpec, points: int = 40) -> set[object]:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    ask = propose(space, student())
    return {ask(study.ask()).get("experts") for _ in range(points)}


def test_every_subset_that_keeps_an_expert_is_proposed() -> None:
    assert proposed(ANY) == set(SUBSETS)


def test_experts_are_fixed_by_default_and_no_part_of_a_point() -> None:
    assert proposed(SpaceSpec()) == {None}


def test_the_space_of_fixed_experts_has_the_serial_form_that_it_always_had() -> None:
    assert "experts" not in search().model_dump(mode="json")["space"]
    plain = search(space=ANY).model_dump(mode="json")
    assert plain["space"]["experts"] == "any"
    assert SearchSpec.from_plain(plain) == search(space=ANY)


@pytest.mark.parametrize("subset", SUBSETS)
def test_a_student_is_taught_by_the_chosen_experts_smallest_first(subset: str) -> None:
    chosen = apply_choice(student(), {"experts": subset})
    assert chosen.guidance.experts == tuple(subset.split("+"))
    assert chosen.guidance.kind == student().guidance.kind
    assert settings_of(chosen)["experts"] == subset


def test_all_experts_are_the_same_training_as_without_the_choice() -> None:
    assert apply_choice(student(), {"experts": "small+large"}) == apply_choice(student(), {})


def test_a_control_that_fewer_experts_teach_keeps_its_own() -> None:
    control = student().model_copy(update={"guidance": student().guidance.model_copy(update={"experts": ("large",)})})
    assert apply_choice(control, {"experts": "small"}).guidance.experts == ("large",)
    assert apply_choice(control, {"experts": "small+large"}).guidance.experts == ("large",)


def test_a_search_repeats_and_its_sampler_learns_over_subsets() -> None:
    first, again = (played(search(space=ANY))[0].trials() for _ in range(2))
    assert first == again
    assert {trial["config"]["experts"] for trial in first} <= set(SUBSETS)


# -- in a plan ---------------------------------------------------------------------------------------------------


def test_methods_taught_by_all_experts_of_an_independent_topology_choose_and_no_others() -> None:
    chosen = planned("search.space.experts=any", "search.methods=null")
    spaces = {name: stage.spec for name, stage in chosen.searches.items()}
    choosing = [name for name, spec in spaces.items() if isinstance(spec, SearchSpec) and spec.space.experts == "any"]
    assert choosing == ["ces_kd"]


def test_the_other_searches_stay_those_of_fixed_experts() -> None:
    fixed, free = (planned(f"search.space.experts={rule}", "search.methods=null") for rule in ("null", "any"))
    for name, search_of_method in fixed.searches.items():
        assert (free.searches[name].identity == search_of_method.identity) == (name != "ces_kd")


@pytest.mark.parametrize("topology", ["sequential", "dense"])
def test_it_is_refused_where_a_subset_would_need_other_tas(topology: str) -> None:
    said = refusal("search.space.experts=any", f"ladder.topology={topology}")
    assert f"search.space.experts is any but ladder.topology is {topology}" in said
    assert "direct or scratch" in said


def test_it_is_refused_for_more_experts_than_a_search_can_choose_among() -> None:
    names = ", ".join(f"network:of_size_{size}" for size in range(10, 0, -1))
    assert "the ladder has 9 experts, 511 subsets" in refusal("search.space.experts=any", f"ladder.networks=[{names}]")


@pytest.mark.parametrize("others", ["ladder.topology=sequential", "search.space.selectors=[stratified, table]"])
def test_with_one_expert_there_is_nothing_to_choose(others: str) -> None:
    common = ("ladder.networks=[plain_cnn_8, plain_cnn_2]", "methods=[kd, dgkd, ces_kd]", "search.methods=null", others)
    fixed, free = (planned(*common, f"search.space.experts={rule}") for rule in ("null", "any"))
    assert identities(fixed) == identities(free)


# -- in a report -------------------------------------------------------------------------------------------------


def test_the_report_shows_what_the_chosen_experts_taught_under_their_names(tmp_path: Path) -> None:
    chosen, store = planned(), Store(str(tmp_path))
    artifacts = make_artifacts(chosen, store)
    for final in chosen.finals:
        if final.method == "ces_kd":
            artifacts[final.train.identity].results["taught_with"]["experts"] = ["plain_cnn_4", "plain_cnn_8"]
            np.save(Path(store.folder(final.train.identity)) / ASSIGNMENTS, np.array([[30, 10], [0, 40]]))
    found = experts_by_stratum(chosen, store, artifacts)
    assert found["experts"] == ["plain_cnn_4", "plain_cnn_6", "plain_cnn_8"]
    assert found["methods"]["ces_kd"] == [[0.75, 0.0, 0.25], [0.0, 0.0, 1.0]]
    assert len(found["methods"]["ces_random"]) == 3
    assert "plain_cnn_4" in words(page((chosen, store, artifacts)), "answers")


def test_the_importance_of_the_choice_is_shown() -> None:
    trials = played(search(space=ANY))[0].trials()
    assert "experts" in importances(trials, json.loads(ANY.model_dump_json()))


def test_a_table_that_chooses_the_experts_too_is_refused() -> None:
    said = refusal("search.space.experts=any", "search.space.selectors=[stratified, table]")
    assert "search.space.selectors has table, which chooses the experts already" in said
