"""The hypothesis in report.json, on the page, in report.md and in the terminal, of a run with planted results."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import report
from orchestrator.artifacts import strata as strata_files
from orchestrator.artifacts.evaluated import write_right
from orchestrator.artifacts.trials import store_progress
from orchestrator.recipe.methods import method_of
from orchestrator.report.hypothesis_words import conclusion
from tests.report.examples import Made, page, read, run_of, words
from tests.report.written import fits, rows_of, written

EXPERTS = ["plain_cnn_4", "plain_cnn_6", "plain_cnn_8"]  # smallest first
IMAGES = 300
ASKED = ("hypothesis={matrix: true, cells: true}", "methods=[labels, kd, ces_kd]", "seeds=[0, 1, 2]")


def measured(folder: Path, *overrides: str, lead: float = 0.1, lead_of_cells: float = 0.02) -> Made:
    """A run in which each expert is right on more images of its own stratum, and each cell of its diagonal gains."""
    chosen, store, artifacts = run_of(folder, *ASKED, *overrides)
    strata = np.arange(IMAGES) // (IMAGES // 3)
    if chosen.strata:
        strata_files.write(Path(store.folder(chosen.strata.identity)), np.arange(IMAGES) / IMAGES, strata)
    for number, final in enumerate(chosen.finals):
        method, artifact = method_of(final.method), artifacts[final.evaluate.identity]
        right, noise = np.zeros(IMAGES, bool), np.random.default_rng(number)
        for stratum in range(3):
            own = method.experts == "one" and method.expert == EXPERTS[stratum]
            count = round(100 * (0.8 - 0.2 * stratum + lead * own)) + noise.integers(0, 3)
            right[100 * stratum : 100 * stratum + count] = True
        write_right(Path(store.folder(artifact.identity)), right)
        diagonal = method.stratum is not None and method.expert == EXPERTS[method.stratum]
        accuracy = 0.7 + lead_of_cells * diagonal + 0.001 * noise.random()
        results = artifact.results | {"test_accuracy": accuracy}
        artifacts[artifact.identity] = dataclasses.replace(artifact, results=results)
    return chosen, store, artifacts


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return measured(tmp_path_factory.mktemp("measured"))


def content_of(made: Made) -> dict[str, Any]:
    return dict(written(*made)[0])


def test_report_json_fits_its_schema(found: Made) -> None:
    fits(content_of(found))


def test_a_run_that_does_not_ask_for_it_has_none(tmp_path: Path) -> None:
    made = run_of(tmp_path)
    content = content_of(made)
    assert content["hypothesis"] is None
    assert "Hypothesis" not in page(made)
    fits(content)


def test_a_planted_diagonal_leads_in_both_matrices(found: Made) -> None:
    part = content_of(found)["hypothesis"]
    assert (part["experts"], part["images"]) == (EXPERTS, [100, 100, 100])
    for matrix, lead in (("by_expert", 0.1), ("by_cell", 0.02)):
        contrast = part[matrix]["contrast"]
        assert contrast["pairs"] == 3 and contrast["verdict"] == "holds"
        if matrix == "by_expert":
            assert contrast["gain"] == pytest.approx(lead, abs=0.02)
    for place in range(3):
        row = [cell["gain"] for cell in part["by_expert"]["gains"][place]]
        assert row.index(max(row)) == place


def test_the_teacher_s_column_of_the_cells_is_the_teacher_alone(found: Made) -> None:
    rows = content_of(found)["hypothesis"]["by_cell"]["gains"]
    assert [row[2]["gain"] for row in rows] == [0.0, 0.0, 0.0]


def test_cells_are_students_of_no_method_that_is_compared(found: Made) -> None:
    content = content_of(found)
    names = {row["method"] for row in content["methods"]} | {row["method"] for row in content["comparisons"]}
    assert not [name for name in names if method_of(name).stratum is not None]
    assert any("cell:" in stage["name"] for stage in content["stages"])


def test_gains_of_all_other_methods_stand_beside_them(found: Made) -> None:
    others = content_of(found)["hypothesis"]["others"]
    assert list(others) == ["kd", "ces_kd"] and all(len(row) == 3 for row in others.values())


def test_a_missing_student_leaves_out_its_seed(tmp_path: Path) -> None:
    chosen, store, artifacts = measured(tmp_path)
    gone = next(final for final in chosen.finals if final.method == "kd:plain_cnn_6" and final.seed == 1)
    artifacts.pop(gone.evaluate.identity)
    part = content_of((chosen, store, artifacts))["hypothesis"]["by_expert"]
    assert part["contrast"]["pairs"] == 2
    assert [cell["pairs"] for cell in part["gains"][0]] == [3, 2, 3]


def test_before_the_strata_are_there_it_is_not_known(tmp_path: Path) -> None:
    chosen, store, artifacts = run_of(tmp_path, *ASKED, without=("strata",))
    made = (chosen, store, {key: item for key, item in artifacts.items() if item.kind != "evaluate"})
    part = content_of(made)["hypothesis"]
    assert part["images"] is part["by_expert"] is part["by_cell"] is None
    assert "Nothing has been measured yet" in words(page(made), "hypothesis")
    assert "Nothing has been measured yet" in written(*made)[1]


def test_the_verdict_stands_before_the_methods_with_a_figure_of_each_matrix(found: Made) -> None:
    text = page(found)
    said = words(text, "hypothesis")
    assert "On these data the hypothesis holds. The lead of the diagonal" in said
    assert "The direct form: on these data the hypothesis holds" in said
    assert text.index('<section id="hypothesis"') < text.index('<section id="methods"')
    figures = [item["data"][0] for item in read(text).figures if item["data"][0].get("customdata")]
    matrices = [item for item in figures if item["type"] == "heatmap"]
    assert len(matrices) == 2
    for matrix in matrices:
        assert matrix["x"] == EXPERTS and matrix["y"][0] == "1 (easiest)"
        assert matrix["text"][0][0].startswith("+")
        assert any("<br>±" in cell for row in matrix["text"] for cell in row)


def test_report_md_has_the_verdict_and_both_matrices(found: Made) -> None:
    _, text = written(*found)
    assert "On these data the hypothesis **holds**" in text
    rows = rows_of(text, "Hypothesis")
    assert list(rows)[:5] == [*(f"kd:{name}" for name in EXPERTS), "kd", "ces_kd"]
    assert rows["1 (easiest)"][2] == "+0.00"
    assert any("±" in cell for cell in rows["kd:plain_cnn_4"])
    assert text.index("## Hypothesis") < text.index("## Methods")


def test_the_terminal_has_the_verdict_without_marks_and_within_its_width(found: Made) -> None:
    chosen, store, artifacts = found
    text = report.summary(chosen, artifacts, 80, store)
    assert "On these data the hypothesis holds." in " ".join(text.split())
    lines = text[text.index("On these data") :].splitlines()
    assert all(len(line) <= 80 and "*" not in line and "`" not in line for line in lines if "warning" not in line)
    assert "cell:" not in text


def with_a_found_table(made: Made) -> Made:
    """A run whose best trial has a table of its own."""
    chosen, store, artifacts = made
    search = chosen.searches["ces_kd"]
    results = artifacts[search.identity].results
    table = {f"table[{place}]": EXPERTS[which] for place, which in enumerate((0, 2, 2))}
    trials = [
        trial | {"config": {"selector": "table", "mode": "static"} | (table if trial["id"] == 4 else {})}
        for trial in results["trials"]
    ]
    artifacts[search.identity] = dataclasses.replace(artifacts[search.identity], results=results | {"trials": trials})
    return chosen, store, artifacts


FREE = "search.space.selectors=[table, stratified]"


def test_a_free_search_is_compared_with_the_diagonal(tmp_path: Path) -> None:
    made = with_a_found_table(measured(tmp_path, FREE))
    part = content_of(made)["hypothesis"]["found"]
    assert part["table"] == ["plain_cnn_4", "plain_cnn_8", "plain_cnn_8"]
    assert (part["matches"], part["chance"]) == (2, pytest.approx(7 / 27))
    assert "2 of 3 strata have the expert that the hypothesis gives them" in words(page(made), "hypothesis")


def test_no_table_is_found_until_the_search_is_done(tmp_path: Path) -> None:
    chosen, store, artifacts = with_a_found_table(measured(tmp_path, FREE))
    search = chosen.searches["ces_kd"]
    trials = artifacts.pop(search.identity).results["trials"]
    store_progress(store, search.identity, trials)
    content = content_of((chosen, store, artifacts))
    assert len(content["searches"]["ces_kd"]["trials"]) == len(trials)
    assert content["hypothesis"]["found"] is None


def test_a_match_by_chance_is_one_of_the_alternatives_that_the_search_had(tmp_path: Path) -> None:
    made = with_a_found_table(measured(tmp_path, FREE, "search.space.table=[plain_cnn_4, plain_cnn_8]"))
    assert content_of(made)["hypothesis"]["found"]["chance"] == pytest.approx(1 / 4)


def test_a_found_table_is_shown_where_no_measurement_is_asked_for(tmp_path: Path) -> None:
    made = with_a_found_table(run_of(tmp_path, FREE))
    content, text = written(*made)
    fits(content)
    assert content["hypothesis"]["found"]["matches"] == 2
    assert "2 of 3 strata have the expert that the hypothesis gives them" in words(page(made), "hypothesis")
    assert "2 of 3 strata have the expert that the hypothesis gives them" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pairs": 0, "gain": None}, "cannot be told** with 0 seeds whether the hypothesis holds: no seed has all its"),
        ({"pairs": 1, "gain": 0.01}, "is +1.00 points, but one seed has no spread: give `seeds` three values or more."),
        (
            {"gain": 0.01, "low": -0.01, "high": 0.03, "seeds_needed": 14},
            "To show a lead of 1.00 points at this spread would take about 14 seeds (80 % power).",
        ),
        (
            {"gain": 0.0001, "low": -0.01, "high": 0.0102, "seeds_needed": None},
            "To show a lead of 0.20 points at this spread would take more than 1,000 seeds (80 % power).",
        ),
        (
            {"gain": -0.01, "low": -0.03, "high": 0.01, "seeds_needed": 70},
            "To show a lead of 0.20 points at this spread would take about 70 seeds (80 % power).",
        ),
        (
            {"gain": 0.0, "low": -0.001, "high": 0.001, "verdict": "does not hold"},
            "(95 % interval \u22120.10 to +0.10, 5 seeds): if there is one, it is below 0.2 points.",
        ),
    ],
    ids=["no seed", "one seed", "undecided", "too many seeds", "trails", "excluded"],
)
def test_the_verdict_says_what_is_known(changes: dict[str, Any], said: str) -> None:
    contrast = {"pairs": 5, "gain": None, "spread": None, "low": None, "high": None, "verdict": "cannot be told",
                "seeds_needed": None} | changes  # fmt: skip
    assert said in conclusion(contrast, "x").replace("\u00a0", " ")  # type: ignore[arg-type]
