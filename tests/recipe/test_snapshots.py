"""Snapshots that a recipe asks for: those that are taken, and those that can't be."""

from __future__ import annotations

import pytest

from orchestrator.recipe.snapshots import early_shares, steps_of
from tests.examples import refusal, tiny


def ladder(*entries: str) -> str:
    return f"ladder.networks=[{', '.join(entries)}]"


def at(share: float, name: str = "plain_cnn_8", more: str = "") -> str:
    return f"{{name: {name}, at: {share}{more}}}"


def test_a_ladder_may_be_the_teacher_s_own_past() -> None:
    recipe = tiny(ladder("plain_cnn_8", at(0.5), at(0.2), "plain_cnn_2"))
    assert [network.label for network in recipe.ladder.networks] == [
        "plain_cnn_8", "plain_cnn_8@0.5", "plain_cnn_8@0.2", "plain_cnn_2"
    ]  # fmt: skip
    assert steps_of(recipe, recipe.ladder.networks[0]) == (6, 15)  # of 30
    assert [network.name for network in recipe.ladder.trained] == ["plain_cnn_8", "plain_cnn_2"]


def test_each_network_may_have_snapshots_of_its_own_training() -> None:
    recipe = tiny(
        ladder("plain_cnn_8", at(0.5), "{name: plain_cnn_4, steps: 9}", at(0.4, "plain_cnn_4"), "plain_cnn_2")
    )
    teacher, _, assistant, snapshot, _ = recipe.ladder.networks
    assert (steps_of(recipe, teacher), steps_of(recipe, assistant)) == ((15,), (4,))
    assert recipe.ladder.training_of(snapshot) is assistant and recipe.ladder.training_of(assistant) is assistant


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ((at(0.5), "plain_cnn_2"), "plain_cnn_8 at 0.5 is a snapshot, but no plain_cnn_8 without at stands above it"),
        (("plain_cnn_8", at(0.5, "plain_cnn_6"), "plain_cnn_2"), "no plain_cnn_6 without at stands above it"),
        ((at(0.5), "plain_cnn_8", "plain_cnn_2"), "no plain_cnn_8 without at stands above it"),
        (("plain_cnn_8", at(0.5), at(0.5), "plain_cnn_2"), "plain_cnn_8@0.5 is in the ladder twice"),
        (("plain_cnn_8", "plain_cnn_8", "plain_cnn_2"), "plain_cnn_8 is in the ladder twice"),
        (("plain_cnn_8", at(0.2), at(0.5), "plain_cnn_2"), "plain_cnn_8 at 0.5 stands below plain_cnn_8@0.2"),
        (("plain_cnn_8", "plain_cnn_6", at(0.5), "plain_cnn_2"), "at 0.5 stands below plain_cnn_6; snapshots stand di"),
        (("plain_cnn_8", at(0.5)), "the student (last network) has at set"),
        (("{name: plain_cnn_8, weights: w}", at(0.5), "plain_cnn_2"), "the weights of plain_cnn_8 are imported"),
        (("plain_cnn_8", at(0.5, more=", steps: 9"), "plain_cnn_2"), "plain_cnn_8 has at and steps; a snapshot is"),
        (("plain_cnn_8", at(1.0), "plain_cnn_2"), "at"),
        (("plain_cnn_8", at(0), "plain_cnn_2"), "at"),
        (("plain_cnn_8", at(0.01), "plain_cnn_2"), "after 0.01 of 30 steps is that after step 0; give a share"),
        (("plain_cnn_8", at(0.99), "plain_cnn_2"), "of 30 steps is that after step 30"),
        (("plain_cnn_8", at(0.51), at(0.5), "plain_cnn_2"), "0.5 and 0.51 of 30 steps are both that after step 15"),
    ],
)  # fmt: skip
def test_a_snapshot_that_can_t_be_taken_is_refused(entries: tuple[str, ...], said: str) -> None:
    assert said in refusal(ladder(*entries))


def test_the_shares_of_kd_early_are_those_of_its_search_where_it_has_one() -> None:
    assert early_shares(tiny()) == ()
    assert early_shares(tiny("methods=[kd_early]", "search.trials=0", "distillation.early_at=0.4")) == (0.4,)
    searched = ("methods=[kd, kd_early]", "search.methods=[kd_early]", "search.space.early=[0.2, 1.0]")
    assert early_shares(tiny(*searched)) == (0.2, 1.0)
    assert steps_of(tiny(*searched), tiny().ladder.networks[0]) == ()  # of this recipe's own networks alone
    recipe = tiny(*searched)
    assert steps_of(recipe, recipe.ladder.networks[0]) == (6,)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ((ladder("{name: plain_cnn_8, weights: w}", "plain_cnn_2"),), "kd_early, whose students are taught by"),
        (("search.trials=0", "distillation.early_at=0.01"), "after 0.01 of 30 steps is that after step 0"),
        (("search.trials=0", "distillation.early_at=1.0"), "early_at"),
        (("search.methods=[kd_early]", "search.space.early=[0.5, 0.51]"), "are both that after step 15"),
        (("search.space.early=[0.5, 0.5]",), "0.5 is in [0.5, 0.5] twice"),
        (("search.space.early=[0.0]",), "every value must be above 0 and at most 1"),
    ],
)  # fmt: skip
def test_a_method_that_needs_a_snapshot_which_can_t_be_taken_is_refused(changes: tuple[str, ...], said: str) -> None:
    assert said in refusal("methods=[kd_early]", *changes)
