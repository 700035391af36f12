"""The recipe's section ``hypothesis``: which students it adds."""

from __future__ import annotations

import pytest

from orchestrator.recipe.methods import cell_method, method_of
from orchestrator.recipe.schema import Recipe
from tests.examples import refusal, tiny

ALONE = ("kd:plain_cnn_8", "kd:plain_cnn_6", "kd:plain_cnn_4")
CELLS = tuple(f"cell:{stratum}:{expert}" for stratum in (1, 2, 3) for expert in ("plain_cnn_4", "plain_cnn_6"))


def methods(*overrides: str) -> tuple[str, ...]:
    return tiny("methods=[ces_kd]", *overrides).methods


def test_by_default_nothing_is_added() -> None:
    assert methods() == ("ces_kd",)


@pytest.mark.parametrize("asked", ["hypothesis=true", "hypothesis={matrix: true}", "hypothesis.matrix=true"])
def test_the_matrix_adds_the_baseline_and_each_expert_alone(asked: str) -> None:
    assert methods(asked) == ("ces_kd", "labels", *ALONE)


def test_cells_add_the_teacher_alone_and_each_ta_on_each_stratum() -> None:
    assert methods("hypothesis.cells=true") == ("ces_kd", "kd", *CELLS)


def test_students_that_the_recipe_has_are_not_added_again() -> None:
    found = tiny("methods=[kd:plain_cnn_6, labels]", "hypothesis=true").methods
    assert found == ("kd:plain_cnn_6", "labels", "kd:plain_cnn_8", "kd:plain_cnn_4")


def test_they_are_added_to_the_default_methods_too() -> None:
    plain = tiny("hypothesis=true").model_dump(mode="json", exclude={"methods"})
    assert Recipe.model_validate(plain).methods == ("labels", "kd", "ces_kd", *ALONE)


def test_a_resolved_recipe_comes_back_the_same() -> None:
    recipe = tiny("hypothesis={matrix: true, cells: true}")
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


def test_a_cell_is_named_by_its_stratum_from_1_and_its_expert() -> None:
    method = method_of(cell_method(0, "plain_cnn_4"))
    assert (method.name, method.stratum, method.expert) == ("cell:1:plain_cnn_4", 0, "plain_cnn_4")
    assert method.taught_by == "plain_cnn_4 on stratum 1, the teacher on the others"


def test_a_cell_has_the_settings_of_the_teacher_alone() -> None:
    assert method_of("cell:1:plain_cnn_4").searched_as == "kd"


def test_the_folds_of_the_strata_count_among_the_trainings_even_where_no_difficulty_needs_them() -> None:
    without = ("difficulty.scorer=margin", "difficulty.held_out_folds=0")
    assert (tiny(*without).trained_folds, tiny(*without, "hypothesis=true").trained_folds) == (0, 3)
    assert tiny("hypothesis=true").trained_folds == tiny().folds == 2


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["ladder.networks=[plain_cnn_8, plain_cnn_2]", "methods=[labels]", "hypothesis=true"],
            "methods: hypothesis is to be measured, but the ladder has one expert; put a TA between",
        ),
        (["methods=[cell:4:plain_cnn_4]"], "methods: cell:4:plain_cnn_4 is no cell: strata are 1 to 3"),
        (["methods=[cell:1:plain_cnn_8]"], "methods: cell:1:plain_cnn_8 is no cell: strata are 1 to 3, and the ex"),
        (["methods=[cell:0:plain_cnn_4]"], "methods[0]: found 'cell:0:plain_cnn_4'; give one of"),
        (["methods=[cell:1:plain_cnn_3]"], "methods: cell:1:plain_cnn_3 names no expert of the ladder"),
        (["hypothesis=3"], "hypothesis: found 3; give a mapping with any of the fields matrix, cells"),
    ],
)
def test_what_cannot_be_measured_is_refused(overrides: list[str], said: str) -> None:
    assert refusal(*overrides).startswith(said)
