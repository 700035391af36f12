"""``training.precision: auto``: chosen once in a storage, the same for all plans there."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.artifacts.store import StorageError, Store
from orchestrator.datasets import describe
from orchestrator.pipeline import precision_choice
from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.plan import plan
from orchestrator.pipeline.precision_choice import PrecisionChoice
from orchestrator.recipe.choices import Precision
from tests.examples import identities, tiny

AUTO = tiny("training.precision=auto")


def choice(precision: Precision) -> PrecisionChoice:
    return PrecisionChoice(
        precision=precision, machine="a machine", network="plain_cnn_2", batch_size=32, fp32_milliseconds=2.0,
        bf16_milliseconds=1.0,
    )  # fmt: skip


def planned(asked: str, found: PrecisionChoice | None = None) -> Plan:
    recipe = tiny(f"training.precision={asked}")
    return plan(recipe, describe(recipe.dataset), found)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_stages_are_those_of_a_recipe_that_names_the_chosen_precision(precision: Precision) -> None:
    by_choice, by_name = planned("auto", choice(precision)), planned(precision)
    assert identities(by_choice) == identities(by_name)
    assert by_choice.recipe == by_name.recipe  # the report's recipe makes the same run on any machine
    assert "2 ms in fp32, 1 ms in bf16" in by_choice.precision and by_name.precision == "as the recipe says"


def test_a_choice_is_found_again_by_later_runs_on_the_same_kind_of_device(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert precision_choice.stored(store, AUTO) is None and precision_choice.is_open(AUTO, None)
    precision_choice.keep(store, AUTO, choice("bf16"))
    on_gpu = tiny("training.precision=auto", "resources.student_gpus=0.5")
    assert precision_choice.stored(store, on_gpu) is None
    precision_choice.keep(store, on_gpu, choice("fp32"))
    assert precision_choice.stored(store, AUTO) == choice("bf16")
    assert precision_choice.stored(store, on_gpu) == choice("fp32")


def test_a_precision_that_the_recipe_names_asks_for_no_choice(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    precision_choice.keep(store, AUTO, choice("bf16"))
    named = tiny("training.precision=fp32")
    assert precision_choice.stored(store, named) is None and not precision_choice.is_open(named, None)


@pytest.mark.parametrize("content", ["{", "[]", '{"cpu": {"precision": "fp8"}}'])
def test_an_unreadable_file_is_named_with_the_remedy(content: str, tmp_path: Path) -> None:
    (tmp_path / precision_choice.FILE).write_text(content)
    with pytest.raises(StorageError, match=r"precision\.json can't be understood.*Remove it to measure again"):
        precision_choice.stored(Store(str(tmp_path)), AUTO)
