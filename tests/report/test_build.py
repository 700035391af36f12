"""report.json, from artifacts made by hand: what it promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import report
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.artifacts.trained import ASSIGNMENTS
from orchestrator.recipe.schema import Recipe
from orchestrator.report.content.makespan import schedule
from tests.artifacts.stores import remote
from tests.examples import ROOT, make_artifacts, planned
from tests.report.written import SIZES, Made, rows_of, written

OPTIONAL = type(None)

# What docs/report.md promises: the fields of each part, and the types that each may have.
PROMISED: dict[str, dict[str, Any]] = {
    "run": {"id": str, "name": str, "written": float, "complete": bool, "expert_outputs": str, "precision": str,
            "live": bool, "command": (str, OPTIONAL)},
    "stages": {
        "name": str, "kind": str, "part": (str, OPTIONAL), "ladder_seed": (int, OPTIONAL), "id": str, "reused": bool,
        "start": (float, OPTIONAL), "end": (float, OPTIONAL), "node": (str, OPTIONAL),
        "slot_seconds": (float, OPTIONAL), "state": (str, OPTIONAL), "status": str, "since": (float, OPTIONAL),
        "error": (str, OPTIONAL),
    },
    "networks": {
        "name": str, "network": str, "role": str, "parameters": (int, OPTIONAL), "multiply_adds": (int, OPTIONAL),
        "validation_accuracy": (float, OPTIONAL), "test_accuracy": (float, OPTIONAL),
        "calibration_error": (float, OPTIONAL), "ladder_seed": (int, OPTIONAL),
    },
    "images": {name: (int, OPTIONAL) for name in ("train", "validation", "test", "wrong_labels")},
    "methods": {
        "method": str, "seed": int, "ladder_seed": int,
        "validation_accuracy": (float, OPTIONAL), "test_accuracy": (float, OPTIONAL),
        "steps": (int, OPTIONAL), "artifact": str, "weights_sha256": (str, OPTIONAL),
        "taught_with": (dict, OPTIONAL), "seconds": (float, OPTIONAL), "other_validation_accuracy": (float, OPTIONAL),
        "other_test_accuracy": (float, OPTIONAL), "kept_step": (int, OPTIONAL), "calibration_error": (float, OPTIONAL),
        "fidelity": dict,
    },
    "search": {"trials": list, "best": (dict, OPTIONAL)},
    "experts_by_stratum": {"experts": list, "methods": dict},
    "wall": {"work_seconds": float, "busy_seconds": float, "overlap": float},
    "spent": {"ladder": dict, "students": dict},
    "seeds": {"ladder": int, "ladders": list, "students": list, "search": int, "dataset": int, "validation": int},
    "capacity": {"parameters": int, "multiply_adds": int},
    "comparisons": {
        "method": str, "reference": str, "pairs": int, "difference": (float, OPTIONAL), "spread": (float, OPTIONAL),
        "low": (float, OPTIONAL), "high": (float, OPTIONAL), "p": (float, OPTIONAL), "p_corrected": (float, OPTIONAL),
        "primary": bool, "smallest_difference": (float, OPTIONAL), "seeds_needed": (int, OPTIONAL),
    },
    "cost": {"slot_seconds": float, "by_kind": dict},
}  # fmt: skip
SENSITIVITY = {
    "trials": int, "steps": int, "low": float, "first_quartile": float, "median": float, "third_quartile": float,
    "high": float, "seed_spread": float,
}  # fmt: skip
TRIAL: dict[str, Any] = {
    "id": int,
    "config": dict,
    "validation_accuracy": (float, OPTIONAL),
    "steps": int,
    "status": str,
}


# -- report.json -------------------------------------------------------------------------------------------------


def check(content: Any, promised: dict[str, Any]) -> None:
    for row in content if isinstance(content, list) else [content]:
        assert row.keys() == promised.keys()
        for name, kinds in promised.items():
            assert isinstance(row[name], kinds), (name, row[name])
            assert kinds is bool or not isinstance(row[name], bool), name  # Python takes a bool for an int


def test_report_json_holds_what_is_promised(whole: Made) -> None:
    content, _ = written(*whole)
    assert content["version"] == 1
    for part, promised in PROMISED.items():
        check(content[part], promised)
    for trial in content["search"]["trials"]:
        assert all(isinstance(trial[name], kinds) for name, kinds in TRIAL.items())
    for found in content["sensitivity"].values():
        assert {name: type(value) for name, value in found.items()} == SENSITIVITY
    more = {
        "version",
        "recipe",
        "coinciding",
        "searches",
        "difficulty",
        "versions",
        "schedule",
        "sensitivity",
        "warnings",
        "hypothesis",
    }
    assert content.keys() == {*PROMISED, *more}


def test_report_json_holds_the_same_fields_when_nothing_was_made(tmp_path: Path) -> None:
    content, text = written(planned(), Store(str(tmp_path)), {}, sizes=[])
    for part, promised in PROMISED.items():
        check(content[part], promised)
    assert content["run"]["complete"] is False and "not complete" in text


def test_every_field_is_described_in_the_documents() -> None:
    described = set(re.findall(r"`([a-z_0-9]+)`", (ROOT / "docs/report.md").read_text()))
    names = {"version", "recipe", "coinciding", "searches", "difficulty", "versions", "warnings", *PROMISED, *TRIAL}
    assert names | {name for part in PROMISED.values() for name in part} <= described


def test_the_resolved_recipe_in_the_report_makes_the_same_run_again(whole: Made) -> None:
    content, _ = written(*whole)
    assert Recipe.model_validate(content["recipe"]) == whole[0].recipe


def test_stages_networks_and_methods_stand_in_the_order_of_the_plan(whole: Made) -> None:
    chosen = whole[0]
    content, _ = written(*whole, reused={chosen.stages[0].identity})
    assert [(row["name"], row["id"]) for row in content["stages"]] == [(s.name, s.identity) for s in chosen.stages]
    assert [row["name"] for row in content["stages"] if row["reused"]] == ["ingest"]
    assert (content["stages"][3]["start"], content["stages"][3]["end"]) == (103.0, 105.0)
    assert [(row["name"], row["role"], row["parameters"]) for row in content["networks"]] == [
        ("plain_cnn_8", "teacher", 1000),
        ("plain_cnn_6", "ta", 500),
        ("plain_cnn_4", "ta", 333),
        ("plain_cnn_4@sequential", "ta of another topology", 333),
        ("plain_cnn_4@dense", "ta of another topology", 333),
        ("plain_cnn_2", "student", 250),
    ]
    assert [(row["method"], row["seed"], row["artifact"]) for row in content["methods"]] == [
        (final.method, final.seed, final.train.identity) for final in chosen.finals
    ]


def test_the_student_s_row_is_the_mean_of_the_student_taught_by_labels(whole: Made) -> None:
    student = written(*whole)[0]["networks"][-1]
    assert student["test_accuracy"] == pytest.approx((0.7 + 0.8) / 2)


def test_a_search_has_every_trial_and_the_best(whole: Made) -> None:
    content, _ = written(*whole)
    assert [trial["id"] for trial in content["search"]["trials"]] == [0, 1, 2]
    assert content["search"]["best"]["id"] == 1
    assert content["searches"] == {"ces_kd": content["search"]}


def test_shares_of_experts_are_summed_over_seeds_and_each_stratum_s_add_up_to_one(tmp_path: Path) -> None:
    chosen, store = planned("methods=[ces_kd, kd]"), Store(str(tmp_path))
    artifacts = make_artifacts(chosen, store)
    counts = ([[3, 1, 0], [0, 4, 0], [0, 0, 0]], [[1, 1, 2], [0, 4, 0], [0, 0, 0]])
    for final, count in zip(chosen.finals, counts, strict=False):
        np.save(tmp_path / "artifacts" / final.train.identity / ASSIGNMENTS, np.array(count))
    found = written(chosen, store, artifacts)[0]["experts_by_stratum"]
    assert found["experts"] == ["plain_cnn_4", "plain_cnn_6", "plain_cnn_8"]
    assert found["methods"] == {"ces_kd": [[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]}


def test_time_at_work_is_counted_once_where_stages_overlap(whole: Made) -> None:
    content, _ = written(*whole)
    count = len(whole[0].stages)  # stage n works from second n to n + 2
    assert content["wall"] == {
        "work_seconds": pytest.approx(2 * count),
        "busy_seconds": pytest.approx(count + 1),
        "overlap": pytest.approx(2 * count / (count + 1)),
    }


def test_time_spent_is_added_up_over_the_ladder_s_trainings_and_over_the_students(whole: Made) -> None:
    content, text = written(*whole)
    ladder = sum(stage.placement.launch == "ray_train" for stage in whole[0].stages)
    students = sum(stage.kind == "train" for stage in whole[0].stages) - ladder
    assert content["spent"] == {
        "ladder": {"data": 0.5 * ladder, "compute": 1.5 * ladder},
        "students": {"data": 0.5 * students, "compute": 1.5 * students},
    }
    assert rows_of(text, "Time")["ladder"][:2] == ["25.0", "75.0"]


def test_a_run_s_timing_is_kept_when_the_next_one_has_nothing_to_do(whole: Made) -> None:
    chosen, _, artifacts = whole
    timing = schedule(chosen.stages, artifacts, makespan=40.0, slots=2)
    content, text = written(*whole, timing=timing)
    assert content["schedule"] == timing and "40 s" in text
    assert written(*whole)[0]["schedule"] == timing


def test_versions_that_differ_between_artifacts_are_all_named(whole: Made) -> None:
    chosen, store, artifacts = whole
    first = chosen.stages[0].identity
    artifacts[first] = Artifact(**vars(artifacts[first]) | {"versions": {"python": "3.11.7", "torch": "2.9.0"}})
    assert written(chosen, store, artifacts)[0]["versions"] == {"python": "3.11.7", "torch": ["2.14.1", "2.9.0"]}


def test_a_correlation_that_is_not_defined_is_null(whole: Made) -> None:
    content, text = written(*whole)
    assert content["difficulty"]["severity_correlation"] == {"mean_loss": 0.6, "margin": None}
    assert rows_of(text, "Difficulty") == {"mean_loss": ["0.60"], "margin": ["-"]}


# -- where it lies -----------------------------------------------------------------------------------------------


def test_latest_holds_the_id_of_the_run_reported_last(whole: Made) -> None:
    chosen, store, artifacts = whole
    page = report.write(chosen, store, artifacts, set(), SIZES)
    assert page == store.path("reports", chosen.run_id, "report.html")
    assert store.read_text("reports", "latest") == chosen.run_id


def test_a_report_written_again_keeps_the_networks_sizes(whole: Made) -> None:
    first, _ = written(*whole)
    again, _ = written(*whole, sizes=None, reused={stage.identity for stage in whole[0].stages})
    assert again["networks"] == first["networks"]
    assert all(stage["reused"] for stage in again["stages"])


def test_a_report_can_lie_on_storage_that_is_not_mounted(tmp_path: Path) -> None:
    chosen, store = planned("methods=[ces_kd]"), remote(tmp_path)
    content, _ = written(chosen, store, make_artifacts(chosen, store))
    assert content["experts_by_stratum"]["methods"]["ces_kd"][0] == [1.0, 0.0, 0.0]
