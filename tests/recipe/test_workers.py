"""Numbers of workers: one, or two limits for an elastic training."""

from __future__ import annotations

import pytest

from orchestrator.recipe.schema import RecipeError
from orchestrator.recipe.workers import Workers
from tests.examples import planned, stage, tiny


@pytest.mark.parametrize(("given", "fewest", "most"), [("3", 3, 3), ("[3, 3]", 3, 3), ("[2, 8]", 2, 8)])
def test_workers_are_a_number_or_two_limits(given: str, fewest: int, most: int) -> None:
    assert tiny(f"resources.workers={given}").resources.workers == Workers(fewest=fewest, most=most)


@pytest.mark.parametrize("given", [3, [2, 8]])
def test_the_plain_form_is_as_a_recipe_has_it(given: int | list[int]) -> None:
    assert tiny(f"resources.workers={given}").model_dump(mode="json")["resources"]["workers"] == given


@pytest.mark.parametrize("given", ["0", "[0, 2]", "[3, 2]", "[1, 2, 3]", "[]", "true", "2.5", "many", "[1, two]"])
def test_other_numbers_are_refused_with_the_valid_forms(given: str) -> None:
    with pytest.raises(RecipeError, match=r"resources\.workers.*found .*give a number of workers, or the fewest"):
        tiny(f"resources.workers={given}")


def test_the_student_has_a_fixed_number() -> None:
    with pytest.raises(RecipeError, match=r"the student .* has workers \[1, 2\], but only experts"):
        tiny("ladder.networks=[plain_cnn_4, {name: plain_cnn_2, workers: [1, 2]}]")


def test_a_batch_is_shared_by_as_many_as_may_come_and_held_by_as_few_as_may_stay() -> None:
    with pytest.raises(RecipeError, match="less than the 33 workers that share it"):
        tiny("resources.workers=[1, 33]", "training.batch_size=32")
    few = ("training.batch_size=32", "resources.micro_batch=16")
    tiny("resources.workers=2", "resources.student_workers=2", *few)
    with pytest.raises(RecipeError, match="has 32 at once"):
        tiny("resources.workers=[1, 2]", "resources.student_workers=2", *few)


def test_experts_are_placed_with_both_limits_and_keep_their_identities() -> None:
    elastic, fixed = planned("resources.workers=[2, 4]"), planned()
    teacher = stage(elastic, "train/plain_cnn_8")
    assert (teacher.placement.least, teacher.placement.workers) == (2, 4)
    assert teacher.identity == stage(fixed, "train/plain_cnn_8").identity
