"""report.md and the summary that ends a run: every method, every seed's value, and what is missing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from orchestrator import report
from orchestrator.artifacts.store import Store
from orchestrator.recipe.methods import METHODS
from orchestrator.report.content.schema import StudentRow
from orchestrator.report.content.statistics import method_rows
from orchestrator.report.markdown import methods_table, table
from orchestrator.report.words import MOST_VALUES, hundredths
from tests.examples import make_artifacts, planned
from tests.report.examples import page, run_of, words
from tests.report.written import Made, rows_of, written


def test_report_md_shows_every_method_with_mean_spread_and_each_seed_s_value(whole: Made) -> None:
    rows = rows_of(written(*whole)[1], "Methods")
    assert list(rows) == list(whole[0].recipe.methods)
    for method, (mean, spread, each, last, validation, trials, taught_by) in rows.items():
        assert (mean, spread, each, last, validation) == ("75.00", "7.07", "70.00, 80.00", "75.00", "75.00")
        assert trials == ("3" if method.startswith("ces_") else "0")
        assert taught_by == METHODS[method].taught_by


def test_report_md_shows_every_network_trial_and_stage(whole: Made) -> None:
    content, text = written(*whole, reused={whole[0].stages[0].identity})
    assert list(rows_of(text, "Networks")) == [row["name"] for row in content["networks"]]
    assert list(rows_of(text, "Search for ces_kd")) == ["1", "0", "2"]  # best first
    stages = rows_of(text, "Stages")
    assert list(stages) == [stage.name for stage in whole[0].stages]
    assert stages["ingest"] == ["0.0", "2.0", "2.0", "here", "kept"]
    for value in ("- ladder: 0", "- students: [0, 1]", "- search: 1000", "torch 2.14.1"):
        assert value in text


def test_report_md_shows_who_taught_each_stratum(whole: Made) -> None:
    rows = rows_of(written(*whole)[1], "Experts by stratum")
    assert rows["1 (easiest)"] == ["100.0", "0.0", "0.0"] and rows["3 (hardest)"] == ["0.0", "0.0", "100.0"]


def test_an_expert_that_guesses_is_named_in_the_report_and_in_the_summary(tmp_path: Path) -> None:
    chosen, store = planned(), Store(str(tmp_path))
    artifacts = make_artifacts(chosen, store)
    teacher = chosen.ladder[0].stage.identity
    guessing = dataclasses.replace(artifacts[teacher], results={"validation_accuracy": 0.25, "steps": 30})
    content, text = written(chosen, store, {**artifacts, teacher: guessing})
    (said,) = content["warnings"]
    assert "plain_cnn_8 is right on 25.00 % of 64 validation images" in said
    assert f"## Warnings\n\n- {said}." in text
    assert f"warning: {said}" in report.summary(chosen, {**artifacts, teacher: guessing})
    assert written(chosen, store, artifacts)[0]["warnings"] == []


# -- runs that are not complete ----------------------------------------------------------------------------------


def test_a_partly_failed_run_has_a_report_that_says_so(tmp_path: Path) -> None:
    chosen, store = planned(), Store(str(tmp_path))
    failed = ["student/kd/seed-1", "evaluate/kd/seed-1", "search"]
    failed += [stage.name for stage in chosen.stages if "/ces_" in stage.name]
    content, text = written(chosen, store, make_artifacts(chosen, store, without=failed))
    assert content["run"]["complete"] is False
    assert "not complete: some stages failed" in text
    assert content["search"] == {"trials": [], "best": None} and "## Search for ces_kd\n\nNot finished." in text
    rows = rows_of(text, "Methods")
    assert rows["kd"][:3] == ["70.00", "-", "70.00, -"]
    assert rows["ces_kd"][:3] == ["-", "-", "-, -"]
    assert rows["labels"][:3] == ["75.00", "7.07", "70.00, 80.00"]
    assert rows_of(text, "Stages")["search"] == ["-", "-", "-", "-", "missing"]
    missing = next(row for row in content["methods"] if (row["method"], row["seed"]) == ("kd", 1))
    assert missing["test_accuracy"] is None and missing["artifact"].startswith("train-")


def test_a_whole_run_s_report_does_not_say_that_anything_failed(whole: Made) -> None:
    content, text = written(*whole)
    assert content["run"]["complete"] is True and "not complete" not in text


def test_a_run_without_curriculum_methods_has_no_parts_about_them(tmp_path: Path) -> None:
    chosen, store = planned("methods=[labels]", "distillation.source=online"), Store(str(tmp_path))
    content, text = written(chosen, store, make_artifacts(chosen, store))
    assert content["search"] == {"trials": [], "best": None} and content["difficulty"] == {}
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Methods",
        "## Networks",
        "## Time",
        "## Stages",
        "## To have it again",
    ]


def test_the_summary_that_ends_a_run_names_the_student_each_method_and_each_expert(whole: Made) -> None:
    shown = report.summary(whole[0], whole[2])
    assert "Student plain_cnn_2" in shown
    assert all(f"| {method} " in shown for method in whole[0].recipe.methods)
    assert "plain_cnn_8 70.00" in shown and "plain_cnn_4@dense 70.00" in shown


# -- numbers -----------------------------------------------------------------------------------------------------


def row(method: str, seed: int, test: float | None) -> StudentRow:
    return {
        "method": method, "seed": seed, "test_accuracy": test, "validation_accuracy": test, "steps": 30,
        "artifact": f"train-{method}-{seed}", "weights_sha256": None, "taught_with": None, "seconds": 1.0,
        "other_validation_accuracy": test, "other_test_accuracy": test, "kept_step": 30, "calibration_error": None,
        "fidelity": {},
    }  # fmt: skip


def test_mean_and_sample_standard_deviation_over_seeds() -> None:
    (found,) = method_rows([row("kd", 0, 0.70), row("kd", 1, 0.74), row("kd", 2, 0.78)])
    assert found["test_mean"] == found["validation_mean"] == pytest.approx(0.74)
    assert found["test_spread"] == pytest.approx(0.04)  # divided by n - 1; by n it would be 0.0327
    assert (found["test"], found["seeds"]) == ([0.70, 0.74, 0.78], [0, 1, 2])


def test_one_seed_has_no_spread_and_a_missing_one_counts_in_nothing() -> None:
    (one,) = method_rows([row("kd", 0, 0.7)])
    assert one["test_spread"] is None
    (part,) = method_rows([row("kd", 0, 0.7), row("kd", 1, None), row("kd", 2, 0.9)])
    assert part["test_mean"] == pytest.approx(0.8) and part["test_spread"] == pytest.approx(0.1414, abs=1e-4)
    assert part["test"] == [0.7, None, 0.9]
    (none,) = method_rows([row("kd", 0, None)])
    assert none["test_mean"] is None and none["test_spread"] is None


@pytest.mark.parametrize(("value", "shown"), [(None, "-"), (0.0, "0.00"), (0.12345, "12.35"), (1.0, "100.00")])
def test_an_accuracy_is_shown_in_per_cent_with_two_digits(value: float | None, shown: str) -> None:
    assert hundredths(value) == shown


def test_a_table_is_markdown_that_lines_up() -> None:
    assert table(["a", "long name"], [["xxxx", 1], ["y", "z"]]).splitlines() == [
        "| a    | long name |",
        "| ---- | --------- |",
        "| xxxx | 1         |",
        "| y    | z         |",
    ]
    assert table(["empty"], []).count("\n") == 1


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.7] * MOST_VALUES, ", ".join(["70.00"] * MOST_VALUES)),
        ([0.7, 0.9, *[0.8] * 18], "70.00 to 90.00 (20 seeds)"),
        ([0.7, 0.9, *[None] * 18], "70.00 to 90.00 (2 of 20 seeds)"),
        ([None] * 20, "- (0 of 20 seeds)"),
    ],
    ids=["few", "many", "some missing", "all missing"],
)
def test_the_values_of_many_seeds_are_shown_by_their_range(values: list[float | None], shown: str) -> None:
    rows = [row("kd", seed, value) for seed, value in enumerate(values)]
    text = methods_table(rows, {})
    assert text.splitlines()[2].split("|")[4].strip() == shown


def test_report_md_lists_every_value_of_many_seeds_below_the_table(tmp_path: Path) -> None:
    chosen, store = planned("methods=[labels, kd]", f"seeds={list(range(10))}"), Store(str(tmp_path))
    _, text = written(chosen, store, make_artifacts(chosen, store, without=["evaluate/kd/seed-1"]))
    assert rows_of(text, "Methods")["labels"][2] == "70.00 to 160.00 (10 seeds)"
    assert "- `kd`: 70.00, -, 90.00, 100.00," in text
    few, store = planned("methods=[labels]", "seeds=[0, 1]"), Store(str(tmp_path / "few"))
    assert "Each seed's value, in" not in written(few, store, make_artifacts(few, store))[1]


def test_the_table_of_many_seeds_fits_a_terminal() -> None:
    rows = [row("dgkd_stochastic", seed, 0.7 + seed / 1000) for seed in range(100)]
    headers = methods_table(rows, {}, 80).splitlines()[0]
    assert "each seed" in headers and len(headers) <= 80


@pytest.mark.parametrize(("width", "last"), [(None, "taught by"), (500, "taught by"), (80, "last %"), (5, "± seeds")])
def test_the_methods_table_leaves_out_its_last_columns_where_the_terminal_is_narrow(
    width: int | None, last: str
) -> None:
    rows = [row("dgkd_stochastic", seed, 0.7) for seed in range(4)]
    headers = methods_table(rows, {}, width).splitlines()[0]
    assert headers.strip(" |").endswith(last) and "test %" in headers


# -- comparisons and fidelity ------------------------------------------------------------------------------------


def test_report_md_shows_every_comparison_with_its_corrected_value_and_its_power(tmp_path: Path) -> None:
    rows = rows_of(written(*run_of(tmp_path))[1], "Comparisons")
    assert list(rows) == [
        "labels (primary)", "kd", "kd_smallest", "takd", "dgkd", "dgkd_stochastic", "ces_random", "ces_reversed"
    ]  # fmt: skip
    points, interval, p, corrected, pairs, detectable, seeds, verdict = rows["labels (primary)"]
    assert (points, interval, p, corrected, pairs) == ("−0.90", "−4.71 to +2.91", "0.205", "-", "2")
    assert float(detectable) == pytest.approx(11.55 * 0.424, abs=0.01) and seeds == "5"
    assert verdict == "not clear" and rows["kd"][3] == "1.000"


def test_the_summary_says_what_was_found_and_what_could_have_been(tmp_path: Path) -> None:
    chosen, _, artifacts = run_of(tmp_path)
    shown = report.summary(chosen, artifacts, 80)
    said = " ".join(shown.split())
    assert "primary comparison: ces_kd less labels, the baseline with the highest mean validation accuracy" in said
    assert "-0.90 points, 95 % interval -4.71 to +2.91, p 0.205 (2 pairs): the seeds' spread may explain it." in said
    assert "With 2 pairs of this spread, the smallest detectable difference is 4.90 points" in said
    assert max(map(len, shown.partition("primary comparison")[2].splitlines())) <= 80


def test_report_md_shows_fidelity_and_calibration_as_means_over_seeds(tmp_path: Path) -> None:
    chosen, store, artifacts = run_of(tmp_path, "methods=[labels, kd]")
    for final in chosen.finals:
        teacher = {"agreement": 0.9 - 0.1 * final.seed, "kl_t1": 0.5, "kl_t4": 0.25}
        fidelity = {"plain_cnn_8": teacher} if final.method == "kd" else {}
        tested = artifacts[final.evaluate.identity]
        results = tested.results | {"fidelity": fidelity, "calibration_error": 0.03, "other_test_accuracy": 0.6}
        artifacts[tested.identity] = dataclasses.replace(tested, results=results)
    content, text = written(chosen, store, artifacts)
    assert rows_of(text, "Fidelity") == {"kd, plain_cnn_8": ["85.00", "0.500", "0.250"]}
    assert rows_of(text, "Calibration") == {"student, labels": ["75.00", "3.00"], "student, kd": ["74.85", "3.00"]}
    assert [row["other_test_accuracy"] for row in content["methods"]] == [0.6] * 4
    assert rows_of(text, "Methods")["kd"][3] == "60.00"
    said = words(page((chosen, store, artifacts)), "fidelity")
    assert "kdplain_cnn_885.00 %0.5000.2502" in said and "student, labels75.00 %3.00 %" in said


def test_the_column_of_the_other_weights_is_named_by_what_is_kept(tmp_path: Path) -> None:
    assert "| last % |" in written(*run_of(tmp_path / "a", "methods=[labels]"))[1]
    assert "| best % |" in written(*run_of(tmp_path / "b", "methods=[labels]", "training.keep=last"))[1]


def test_report_md_counts_wrong_labels_and_names_the_students_of_each_ladder(tmp_path: Path) -> None:
    chosen = planned("ladder.seeds=[4, 9]", "seeds=[0, 1, 2]")
    store = Store(str(tmp_path))
    artifacts = make_artifacts(chosen, store)
    ingested = artifacts[chosen.stages[0].identity]
    counts = ingested.results["counts"] | {"wrong_labels": 128}
    artifacts[ingested.identity] = dataclasses.replace(ingested, results=ingested.results | {"counts": counts})
    lines = written(chosen, store, artifacts)[1].splitlines()
    assert "128 of 320 training images have a wrong label, as the recipe asks (`dataset.label_noise`)." in lines
    said = "that of seed 4 teaches the students of seeds 0 and 2; that of seed 9 teaches the students of seed 1."
    assert f"The ladder was trained 2 times: {said}" in lines
