"""Experts that are snapshots, in the report: by their label, with their network's size."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast

from orchestrator.report.content.schema import Report
from orchestrator.report.content.statistics import ExpertFacts, expert_warnings
from orchestrator.report.page.figures.methods import capacity
from orchestrator.report.page.figures.trials import space_of
from tests.report.examples import Made, page, run_of, words
from tests.report.written import fits, rows_of, written

PAST = "ladder.networks=[plain_cnn_8, {name: plain_cnn_8, at: 0.5}, plain_cnn_4, plain_cnn_2]"
SIZES = [{"parameters": number, "multiply_adds": 9 * number} for number in (1000, 1000, 500, 100)]


def made_of(folder: Path) -> Made:
    """A whole run with a snapshot in its ladder and students of the teacher after 20 % of its training."""
    methods = "methods=[labels, kd_early, ces_kd]"
    chosen, store, artifacts = run_of(folder, PAST, methods, "search.methods=[ces_kd]", "distillation.early_at=0.2")
    for final in chosen.finals:
        if final.method == "kd_early":
            artifact = artifacts[final.train.identity]
            taught = {**artifact.results["taught_with"], "early": 0.2}
            results = {**artifact.results, "taught_with": taught}
            artifacts[final.train.identity] = dataclasses.replace(artifact, results=results)
    return chosen, store, artifacts


def test_a_snapshot_stands_under_its_label_with_its_network_s_size(tmp_path: Path) -> None:
    content, text = written(*made_of(tmp_path), sizes=SIZES)
    fits(content)
    assert [(row["name"], row["role"], row["network"], row["parameters"]) for row in content["networks"]] == [
        ("plain_cnn_8", "teacher", "plain_cnn_8", 1000),
        ("plain_cnn_8@0.5", "snapshot", "plain_cnn_8", 1000),
        ("plain_cnn_4", "ta", "plain_cnn_4", 500),
        ("plain_cnn_8@0.2", "snapshot", "plain_cnn_8", 1000),
        ("plain_cnn_2", "student", "plain_cnn_2", 100),
    ]
    assert "plain_cnn_8@0.5" in rows_of(text, "Networks")
    assert content["experts_by_stratum"]["experts"] == ["plain_cnn_4", "plain_cnn_8@0.5", "plain_cnn_8"]
    figure = capacity(content["networks"], content["methods"], content["experts_by_stratum"]["experts"])
    assert figure is not None
    drawn = {trace["name"]: (trace["x"], trace["marker"]["color"]) for trace in figure["data"]}
    assert drawn["plain_cnn_8@0.5"][0] == drawn["plain_cnn_8"][0] == [1000]
    assert drawn["plain_cnn_8@0.5"][1] != drawn["plain_cnn_8"][1]


def test_the_page_says_when_the_teacher_was_taken(tmp_path: Path) -> None:
    assert "the teacher after 20 % of its training" in words(page(made_of(tmp_path)), "schedule")


def test_the_share_is_a_setting_of_the_searches_that_choose_it(tmp_path: Path) -> None:
    content = cast(Report, written(*made_of(tmp_path), sizes=SIZES)[0])
    assert "early" in space_of(content, "kd_early") and "families" not in space_of(content, "kd_early")
    assert "early" not in space_of(content, "ces_kd") and "families" in space_of(content, "ces_kd")
    assert set(space_of(content, "kd")) == {"temperature", "kd_weight"}


def test_a_snapshot_that_knows_less_than_the_student_is_to_be_taken_later() -> None:
    (said,) = expert_warnings([ExpertFacts("a@0.1", 0.7, brought=False, snapshot=True)], 0.75, 500, 10)
    assert "a@0.1 is right on 70.00 %" in said and "take it later in its training or leave it out" in said
