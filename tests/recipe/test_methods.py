"""Names of methods: rows of the table, and one for each expert of a ladder."""

from __future__ import annotations

import re

import pytest

from orchestrator.recipe.methods import METHODS, method_of
from tests.examples import refusal, tiny

EXPERTS = ("plain_cnn_8", "plain_cnn_6", "plain_cnn_4")
EVERY = tuple(f"kd:{name}" for name in EXPERTS)
NAMES = [*METHODS, *EVERY, "kd:timm:resnet18", "kd:my.module:network"]


@pytest.mark.parametrize("name", NAMES)
class TestEveryMethod:
    def test_it_has_its_name_and_words_for_tables(self, name: str) -> None:
        method = method_of(name)
        assert method.name == name and method.taught_by
        assert method == method_of(name)

    def test_its_look_is_a_colour_that_shows_on_white_with_a_marker_and_a_line(self, name: str) -> None:
        look = method_of(name).look
        assert re.fullmatch("#[0-9a-f]{6}", look.colour)
        assert max(int(look.colour[place : place + 2], 16) for place in (1, 3, 5)) < 0xF0
        assert look.symbol and look.dash

    def test_a_control_takes_the_settings_of_a_method_that_has_some(self, name: str) -> None:
        method = method_of(name)
        if method.control_of:
            assert method_of(method.control_of).dealing == "none"
            assert method.searched_as == method.control_of


def test_methods_of_the_table_have_looks_of_their_own() -> None:
    looks = [(method.look.colour, method.look.symbol) for method in METHODS.values()]
    assert len(set(looks)) == len(looks) == len({colour for colour, _ in looks})


def test_a_method_of_one_expert_names_it_and_looks_the_same_in_every_recipe() -> None:
    method = method_of("kd:timm:resnet18")
    assert (method.expert, method.taught_by, method.control_of) == ("timm:resnet18", "timm:resnet18 alone", None)
    assert method.searched_as == "kd:timm:resnet18"
    looks = {method_of(name).look for name in EVERY}
    assert len(looks) == len(EVERY)


def test_an_unknown_name_is_no_method() -> None:
    for name in ("kdd", "ces_kd:plain_cnn_4", "all"):
        with pytest.raises(KeyError):
            method_of(name)


# -- in a recipe ---------------------------------------------------------------------------------------------------


def test_an_expert_of_the_ladder_is_named_by_its_network() -> None:
    assert tiny("methods=[labels, kd:plain_cnn_6]").methods == ("labels", "kd:plain_cnn_6")


def test_a_star_stands_for_every_expert_of_the_ladder_teacher_first() -> None:
    assert tiny("methods=[labels, kd:*]").methods == ("labels", *EVERY)


def test_a_star_leaves_out_those_that_are_named_already() -> None:
    assert tiny("methods=[kd:plain_cnn_6, kd:*]").methods == ("kd:plain_cnn_6", "kd:plain_cnn_8", "kd:plain_cnn_4")


def test_a_star_beside_a_search_of_every_expert() -> None:
    recipe = tiny("methods=[kd, kd:*]", "search.methods=[kd:*]")
    assert recipe.search.methods == recipe.searched_methods == EVERY


def test_each_expert_s_method_is_searched_as_the_others_are() -> None:
    recipe = tiny("methods=[labels, kd, kd:*, ces_kd, ces_teacher]", "search.methods=")
    assert recipe.searched_methods == ("kd", *EVERY, "ces_kd")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "methods=[kd:plain_cnn_5]",
            "methods: kd:plain_cnn_5 names no expert of the ladder; did you mean 'kd:plain_cnn_",
        ),
        ("methods=[kd:plain_cnn_2]", "methods: kd:plain_cnn_2 names no expert of the ladder"),  # the student
        ("search.methods=[kd:other]", "search: methods: kd:other names no expert of the ladder"),
        ("methods=['kd:']", "methods[0]: found 'kd:'; give one of labels, kd, "),
        (
            "methods=[kd:plain_cnn_4, kd:plain_cnn_4]",
            "methods: kd:plain_cnn_4 is in ['kd:plain_cnn_4', 'kd:plain_cnn_4'] ",
        ),
        ("methods=[kd:*, kd:*]", "methods: kd:plain_cnn_4, kd:plain_cnn_6, kd:plain_cnn_8 is in ["),
        ("search.methods=[ces_teacher]", "search.methods: ces_teacher has nothing to search"),
    ],
)
def test_a_name_that_is_no_expert_of_the_ladder_is_refused(override: str, expected: str) -> None:
    message = refusal(override)
    assert message.startswith(expected)
    if "names no expert" in message:
        assert message.endswith("there are kd:plain_cnn_8, kd:plain_cnn_6, kd:plain_cnn_4, and kd:* for all of them")


def test_a_wrong_ladder_is_refused_for_what_is_wrong_with_it() -> None:
    assert refusal("ladder.networks=[a]", "methods=[kd:*]").startswith("ladder.networks: found ['a']")


# -- selectors that choose during training -------------------------------------------------------------------------

SEARCHED = "search.space.selectors=[stratified, ready]"


@pytest.mark.parametrize("method", ["ces_random", "ces_reversed"])
@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ((SEARCHED,), "search.space.selectors"),
        (("search.trials=0", "curriculum.selector=ready"), "curriculum.selector"),
        (("search.methods=[kd]", "curriculum.selector=ready"), "curriculum.selector"),
    ],
)
def test_what_is_chosen_during_training_can_t_be_given_to_other_images(
    method: str, overrides: tuple[str, ...], field: str
) -> None:
    message = refusal(f"methods=[kd, ces_kd, {method}]", *overrides)
    assert message.startswith(f"methods has {method}, which gives the experts of ces_kd to other images, but {field} ")


@pytest.mark.parametrize(
    "overrides",
    [
        ("methods=[kd, ces_kd, ces_teacher]", SEARCHED),
        ("methods=[kd, ces_kd, ces_teacher]", "search.trials=0", "curriculum.selector=ready"),
        ("methods=[ces_kd, ces_random]", "curriculum.selector=ready"),  # a search chooses it
        ("methods=[ces_kd, ces_random]", "search.trials=0", SEARCHED),  # nothing is searched
    ],
)
def test_other_methods_and_selectors_that_are_not_used_are_taken(overrides: tuple[str, ...]) -> None:
    assert tiny(*overrides).methods
