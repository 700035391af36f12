"""The table of search fields: what schema, specs and dashboards derive from each row."""

from __future__ import annotations

import math
from typing import Any

import pytest

from curricula import difficulty, pacing
from orchestrator.pipeline.specs import CurriculumSpec, GuidanceSpec, TrainSpec, apply_choice, settings_of
from orchestrator.recipe.choices import FAMILIES, SCORERS, OptimizerSpec, PacingSpec, Spec
from orchestrator.recipe.methods import METHODS, Method
from orchestrator.recipe.search_space import SETTINGS, Range, SpaceSpec, described, in_columns
from orchestrator.tracking.hparams import COLUMNS
from tests.search.test_proposals import student

FIELDS = pytest.mark.parametrize("field", SETTINGS)
WHOLE = SpaceSpec.from_plain(
    {"losses": ["kd", "dkd"], "ce_weight": [0.1, 0.9], "experts": "any", "learning_rate": [0.01, 0.4]}
)
RANGES = pytest.mark.parametrize("field", [field for field, default in WHOLE if isinstance(default, Range)])
UNSET = {"losses", "ce_weight", "experts", "learning_rate"}  # fields that are not searched by default
POINT: dict[str, Any] = {
    "loss": "dkd", "temperature": 3.0, "kd_weight": 0.25, "ce_weight": 0.5, "experts": "large", "mode": "both",
    "selector": "competent", "family": "fixed_exponential", "a": 0.9, "b": 0.2, "increase": 2.5, "step_length": 0.3,
    "learning_rate": 0.05,
}  # fmt: skip


def labels() -> TrainSpec:
    return student().model_copy(update={"guidance": GuidanceSpec(kind="labels"), "curriculum": None})


def test_settings_are_asked_in_an_order_that_decides_which_points_are_proposed() -> None:
    assert [setting.name for setting in SETTINGS.values() if setting.name in POINT] == list(POINT)


@FIELDS
def test_a_field_s_default_is_within_its_own_bounds(field: str) -> None:
    assert SpaceSpec.from_plain(WHOLE.model_dump(mode="json")) == WHOLE
    plain = SpaceSpec().model_dump(mode="json")
    assert SpaceSpec.from_plain({field: plain[field]} if field in plain else {}) == SpaceSpec()


@RANGES
def test_a_range_that_reaches_beyond_its_bounds_is_refused(field: str) -> None:
    bounds = SETTINGS[field].bounds
    assert bounds is not None
    default: Range = getattr(WHOLE, field)
    lowest = bounds.gt if bounds.gt is not None else bounds.ge
    assert isinstance(lowest, (int, float))
    wrong = [lowest] if bounds.gt is not None else [math.nextafter(lowest, -math.inf)]
    for low in wrong:
        with pytest.raises(ValueError, match="every value must be"):
            SpaceSpec.from_plain({field: [low, default.high]})
    if bounds.le is not None:
        assert isinstance(bounds.le, (int, float))
        SpaceSpec.from_plain({field: [default.low, bounds.le]})
        with pytest.raises(ValueError, match="every value must be"):
            SpaceSpec.from_plain({field: [default.low, math.nextafter(bounds.le, math.inf)]})


@pytest.mark.parametrize(
    ("shares", "said"),
    [([0.5, 1.5], "every value must be above 0 and at most 1"), ([0], "above 0")],
)
def test_shares_of_a_training_are_within_it(shares: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SpaceSpec.from_plain({"early": shares})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("families", "log"), ("modes", "both"), ("selectors", "table"), ("table", "small"), ("losses", "kd"),
        ("early", 0.5),
    ],
)  # fmt: skip
def test_an_alternative_is_listed_once(field: str, value: str | float) -> None:
    with pytest.raises(ValueError, match=f"{value} is in .* twice; leave one out"):
        SpaceSpec.from_plain({field: [value, value]})


@FIELDS
def test_a_field_has_a_column_in_dashboards(field: str) -> None:
    setting = SETTINGS[field]
    assert COLUMNS[setting.name] == (described(field), setting.is_number)


@FIELDS
def test_the_value_that_stands_for_none_is_of_the_column_s_type(field: str) -> None:
    setting = SETTINGS[field]
    assert setting.absent is None or isinstance(setting.absent, float) == setting.is_number


def test_a_training_is_at_the_point_that_was_applied_to_it() -> None:
    found = settings_of(apply_choice(student(), POINT))
    assert {name: found[name] for name in POINT} == POINT


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        (
            {"mode": "static"},
            ["loss", "temperature", "kd_weight", "ce_weight", "experts", "mode", "selector", "learning_rate"],
        ),
        ({"family": "log"}, [name for name in POINT if name not in ("increase", "step_length")]),
    ],
    ids=str,
)
def test_settings_without_effect_are_no_part_of_a_point(changes: dict[str, str], names: list[str]) -> None:
    found = settings_of(apply_choice(student(), POINT | changes))
    assert [name for name in POINT if name in found] == names


def test_a_weight_of_the_labels_that_is_not_set_is_shown_as_the_rest() -> None:
    assert settings_of(apply_choice(student(), {"kd_weight": 0.25}))["ce_weight"] == 0.75


def test_a_training_takes_the_parameters_of_the_loss_that_was_chosen_alone() -> None:
    guidance = student().guidance.model_copy(update={"loss_parameters": {"dkd": {"beta": 2.0}, "dist": {"beta": 3.0}}})
    several = student().model_copy(update={"guidance": guidance})
    assert apply_choice(several, {"loss": "dkd"}).guidance.loss_parameters == {"dkd": {"beta": 2.0}}
    assert apply_choice(several, {"loss": "kd"}) == apply_choice(student(), {})


def test_a_table_has_one_value_a_stratum_in_a_point_and_one_column_in_dashboards() -> None:
    point = POINT | {"selector": "table", "table[0]": "large", "table[1]": "small"}
    found = settings_of(apply_choice(student(), point))
    assert found == point
    assert in_columns(found) == POINT | {"selector": "table", "table": "large, small"}


def test_a_training_without_experts_has_the_settings_of_its_optimiser_alone() -> None:
    assert settings_of(apply_choice(labels(), {"learning_rate": 0.05})) == {"learning_rate": 0.05}
    assert apply_choice(labels(), {}) == labels()


@FIELDS
def test_a_setting_is_a_field_of_the_part_of_the_spec_that_it_names(field: str) -> None:
    parts: dict[str, type[Spec]] = {
        "guidance": GuidanceSpec,
        "early": GuidanceSpec,
        "curriculum": CurriculumSpec,
        "curriculum.pacing": PacingSpec,
        "optimizer": OptimizerSpec,
    }
    assert SETTINGS[field].name in parts[SETTINGS[field].place].model_fields


def test_a_field_that_is_not_searched_is_no_part_of_the_serial_form_nor_of_a_point() -> None:
    assert not UNSET & set(SpaceSpec().model_dump(mode="json"))
    assert not UNSET & set(SpaceSpec().searched(METHODS["ces_kd"].places))
    assert set(WHOLE.model_dump(mode="json")) >= UNSET


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_every_method_has_its_learning_rate_searched_where_the_space_says_so(method: Method) -> None:
    searched = WHOLE.searched(method.places)
    assert "learning_rate" in searched
    assert ("temperature" in searched) == method.has_experts and ("modes" in searched) == bool(method.dealing)


@RANGES
def test_what_is_proposed_has_four_digits_and_lies_within_the_reach_of_its_range(field: str) -> None:
    setting = SETTINGS[field]
    low, high = 0.123446, 0.654371  # to four digits 0.1234 and 0.6544, beyond both ends
    assert setting.reach(low, high) == (0.1234, 0.6544) == (setting.rounded(low), setting.rounded(high))
    assert setting.reach(0.2, 0.5) == (0.2, 0.5)
    assert setting.reach(low, low) == (low, low)  # a fixed value is taken as it is
    assert SETTINGS["learning_rate"].rounded(0.000123456) == 0.0001235


def test_families_and_scorers_of_the_recipe_are_those_of_the_curricula() -> None:
    assert sorted(FAMILIES) == pacing.names()
    assert tuple(difficulty.DIFFICULTIES) == SCORERS
