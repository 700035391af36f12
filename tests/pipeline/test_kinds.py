"""The table of stage kinds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from orchestrator.pipeline.graph import Stage
from orchestrator.pipeline.kinds import KINDS, LOOKS, IngestSpec, Kind, Look, look_of
from tests.examples import ROOT, planned


def functions_of(path: Path) -> set[str]:
    """The functions that a file defines."""
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_functions_of_a_kind_are_there(kind: Kind) -> None:
    for function in filter(None, (kind.function, kind.ray_train)):
        module, name = function.split(":")
        assert name in functions_of(ROOT.joinpath(*module.split(".")).with_suffix(".py"))


def test_every_stage_of_a_plan_is_of_a_kind_of_the_table() -> None:
    stages = (*planned("hypothesis=true").stages, *planned("methods=[kd_early]").stages)
    assert {item.kind for item in stages} == KINDS.keys() - {"pretrained"}


def test_trainings_by_ray_train_are_of_kinds_that_have_a_function_for_it() -> None:
    assert {item.kind for item in planned().stages if item.placement.launch == "ray_train"} == {"train"}
    assert {kind.name for kind in KINDS.values() if kind.ray_train} == {"train"}


def test_looks_are_told_apart_by_word_and_by_colour() -> None:
    assert len({look.word for look in LOOKS}) == len({look.colour for look in LOOKS}) == len(LOOKS)


def test_students_look_other_than_the_ladder_s_trainings() -> None:
    assert look_of("train", "student").word == "student"
    assert look_of("train", "expert") == look_of("train", "fold") == look_of("train", None) == KINDS["train"].look
    assert look_of("evaluate", "student") == KINDS["evaluate"].look


def test_a_row_is_enough_for_a_new_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage("prune", "prune/student", IngestSpec(dataset={}, fingerprint=""))
    with pytest.raises(KeyError):
        _ = stage.identity
    row = Kind("prune", "my_stages.prune:run", 1, Look("prune", "#123456"), lambda results: f"{results['kept']} kept")
    monkeypatch.setitem(KINDS, "prune", row)
    assert stage.identity.startswith("prune-") and look_of("prune", None).colour == "#123456"
    assert KINDS[stage.kind].outcome({"kept": 3}) == "3 kept"
