"""The table of distillation losses: the settings that come with a loss, and weights that can't be."""

from __future__ import annotations

import dataclasses

import pytest

from orchestrator.datasets import describe
from orchestrator.pipeline.plan import plan
from orchestrator.pipeline.specs import GuidanceSpec, TrainSpec
from orchestrator.recipe.losses import LOSSES, Loss
from orchestrator.recipe.schema import RecipeError
from tests.examples import identities, planned, refusal, stage, tiny


@pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
class TestSettingsThatComeWithALoss:
    def test_a_loss_that_is_named_alone_has_its_authors_settings(self, loss: Loss) -> None:
        found = tiny(f"distillation.loss={loss.name}").distillation
        wanted = (loss.temperature, loss.kd_weight, loss.ce_weight)
        assert (found.temperature, found.kd_weight, found.ce_weight) == wanted

    def test_what_the_recipe_names_counts(self, loss: Loss) -> None:
        found = tiny(f"distillation.loss={loss.name}", "distillation.temperature=3.0").distillation
        assert (found.temperature, found.kd_weight) == (3.0, loss.kd_weight)

    def test_a_weight_that_the_recipe_names_leaves_the_labels_the_rest(self, loss: Loss) -> None:
        found = tiny(f"distillation.loss={loss.name}", "distillation.kd_weight=0.4").distillation
        assert (found.kd_weight, found.ce_weight) == (0.4, None)

    def test_the_weight_of_the_labels_can_be_named_alone(self, loss: Loss) -> None:
        found = tiny(f"distillation.loss={loss.name}", "distillation.ce_weight=0.4").distillation
        assert (found.kd_weight, found.ce_weight) == (loss.kd_weight, 0.4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["distillation.kd_weight=9"],
            "distillation.kd_weight of 9 leaves the labels' cross-entropy a weight of 1 - 9, below 0; set "
            "distillation.ce_weight too (0.1, say), or keep distillation.kd_weight to 1 or less",
        ),
        (
            ["search.space.kd_weight=[0.5, 2]"],
            "search.space.kd_weight of 2 leaves the labels' cross-entropy a weight of 1 - 2, below 0; set "
            "search.space.ce_weight too (0.1, say), or keep search.space.kd_weight to 1 or less",
        ),
        (
            ["distillation.kd_weight=0", "distillation.ce_weight=0"],
            "distillation.kd_weight and distillation.ce_weight are both 0, so that there is nothing to learn from; "
            "raise one of them",
        ),
        (
            ["search.space.kd_weight=0", "search.space.ce_weight=0"],
            "search.space.kd_weight and search.space.ce_weight are both 0, so that there is nothing to learn from; "
            "raise one of them",
        ),
    ],
)
def test_weights_that_leave_nothing_to_learn_from_or_less_are_refused(overrides: list[str], message: str) -> None:
    assert refusal(*overrides) == message


@pytest.mark.parametrize(
    "overrides",
    [
        ["distillation.kd_weight=9", "distillation.ce_weight=0.1"],
        ["search.space.kd_weight=[3, 12]", "search.space.ce_weight=0.1"],
        ["search.space.kd_weight=[3, 12]", "distillation.ce_weight=0.1"],
        ["distillation.ce_weight=0"],
    ],
)
def test_weights_apart_may_have_any_sum(overrides: list[str]) -> None:
    tiny(*overrides)


@pytest.mark.parametrize("field", ["distillation.loss=standardised", "search.space.losses=[kd, standardised]"])
def test_a_loss_that_teaches_nothing_on_two_classes_is_refused_there(field: str) -> None:
    recipe = tiny(field)
    two = dataclasses.replace(describe(recipe.dataset), classes=2)
    with pytest.raises(
        RecipeError, match=rf"{field.partition('=')[0]} has standardised, which needs 3 classes or more"
    ):
        plan(recipe, two)


class TestPlans:
    PLAIN = identities(planned())

    def test_the_default_loss_is_no_part_of_an_identity_nor_are_parameters_of_others(self) -> None:
        fields = (
            "distillation.loss=kd",
            "distillation.ce_weight=",
            "distillation.dkd.beta=2",
            "distillation.dist.beta=3",
        )
        assert identities(planned(*fields)) == self.PLAIN
        plain = GuidanceSpec(kind="single", experts=("teacher",)).model_dump(mode="json")
        assert not {"loss", "loss_parameters", "ce_weight"} & set(plain)

    def test_a_loss_and_its_parameters_change_networks_that_are_taught_and_no_others(self) -> None:
        dkd, other = (identities(planned("distillation.loss=dkd", f"distillation.dkd.beta={beta}")) for beta in (8, 2))
        assert dkd == identities(planned("distillation.loss=dkd"))
        assert dkd["student/kd/seed-0"] != other["student/kd/seed-0"]
        for found in (dkd, other):
            same = {name for name in found if found[name] == self.PLAIN[name]}
            students = {name for name in found if name.startswith(("student/labels", "evaluate/labels"))}
            assert {"ingest", "train/plain_cnn_8", *students} <= same
            assert not {"train/plain_cnn_6", "student/kd/seed-0", "student/ces_kd/seed-0", "search"} & same

    def test_a_weight_of_the_labels_is_part_of_the_identity(self) -> None:
        found = identities(planned("distillation.ce_weight=0.5"))
        assert found["student/kd/seed-0"] != self.PLAIN["student/kd/seed-0"]

    def test_a_searched_student_has_the_parameters_of_the_losses_of_the_space_alone(self) -> None:
        chosen = planned("search.space.losses=[kd, dkd]", "distillation.dkd.beta=2")
        taught = {name: stage(chosen, name).spec for name in ("student/ces_kd/seed-0", "student/kd/seed-0")}
        assert all(isinstance(spec, TrainSpec) for spec in taught.values())
        parameters = {
            name: spec.guidance.loss_parameters for name, spec in taught.items() if isinstance(spec, TrainSpec)
        }
        assert parameters == {
            "student/ces_kd/seed-0": {"dkd": {"alpha": 1.0, "beta": 2.0, "warmup": 0.083}},
            "student/kd/seed-0": {},
        }
