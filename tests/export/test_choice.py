"""The choice of the network to export, and the messages where there is no such network. Reports are made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator import report
from orchestrator.artifacts.store import Store
from orchestrator.export.__main__ import main
from orchestrator.export.selection import ExportError, Run, default_folder, find_expert, find_student, open_run
from tests.examples import make_artifacts, planned
from tests.report.written import SIZES


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of every method with seeds 0 and 1."""
    store, chosen = Store(str(tmp_path)), planned()
    report.write(chosen, store, make_artifacts(chosen, store), reused=set(), sizes=SIZES)
    return open_run(store, None)


def say(run: Run, validation: dict[tuple[str, int], float], test: dict[tuple[str, int], float] | None = None) -> None:
    """Give students other accuracies."""
    for row in run.report["methods"]:
        row["validation_accuracy"] = validation.get((row["method"], row["seed"]), 0.5)
        row["test_accuracy"] = (test or {}).get((row["method"], row["seed"]), 0.5)


def refusal(capsys: pytest.CaptureFixture[str], run: Run, *arguments: str) -> str:
    """The one line that the command refuses with."""
    assert main(["--storage", run.store.uri, *arguments]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ") and err.count("\n") == 1 and "Traceback" not in out + err
    return err


def test_the_method_is_the_best_by_mean_validation_and_the_seed_by_validation(run: Run) -> None:
    say(run, {("kd", 0): 0.9, ("kd", 1): 0.1, ("takd", 0): 0.6, ("takd", 1): 0.7})
    chosen = find_student(run)
    assert (chosen.method, chosen.seed) == ("takd", 1)
    assert "65.00 %" in chosen.why and "70.00 %" in chosen.why


def test_test_accuracy_chooses_nothing(run: Run) -> None:
    say(run, {("takd", 0): 0.6}, test={("kd", 0): 0.99, ("kd", 1): 0.99})
    assert find_student(run).method == "takd"


def test_of_equals_the_first_of_the_recipe_is_taken(run: Run) -> None:
    say(run, {})
    chosen = find_student(run)
    assert (chosen.method, chosen.seed) == ("labels", 0)


def test_a_method_and_a_seed_can_be_asked_for(run: Run) -> None:
    say(run, {("kd", 0): 0.9})
    chosen = find_student(run, "dgkd", 1)
    assert (chosen.method, chosen.seed, chosen.why) == ("dgkd", 1, "as asked for")
    assert find_student(run, "kd").seed == 0
    assert find_student(run, seed=1).method == "kd"


def test_a_student_that_was_not_trained_is_not_chosen(run: Run) -> None:
    say(run, {("kd", 1): 0.9})
    next(row for row in run.report["methods"] if row["method"] == "kd")["validation_accuracy"] = None
    assert find_student(run, "kd").seed == 1


# -- runs that are not whole -------------------------------------------------------------------------------------


UNFINISHED = ("kd/seed-1", "takd/seed-0", "takd/seed-1")


@pytest.fixture
def part(tmp_path: Path) -> Run:
    """A run in which kd lacks seed 1, takd both seeds, and the expert plain_cnn_4 is in training."""
    store, chosen = Store(str(tmp_path)), planned("methods=[labels, kd, takd]")
    without = [
        "train/plain_cnn_4@sequential",
        *(f"{kind}/{student}" for kind in ("student", "evaluate") for student in UNFINISHED),
    ]
    report.write(chosen, store, make_artifacts(chosen, store, without), reused=set(), sizes=SIZES)
    return open_run(store, None)


def test_students_that_are_not_finished_are_named_beside_the_one_that_is_chosen(part: Run) -> None:
    chosen = find_student(part)
    assert chosen.method == "labels"
    assert "of 2 methods" in chosen.why and "not finished, so not compared: kd (seed 1), takd" in chosen.why
    assert "best of its 1 seed on" in find_student(part, "kd").why
    assert find_student(part, "labels", 0).why == "as asked for"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (
            ("--method", "takd"),
            ["'takd' of run", "is not finished", "Finished: labels, kd; missing: kd (seed 1), takd"],
        ),
        (("--method", "kd", "--seed", "1"), ["seed 1 of method 'kd'", "is not finished", "Finished: 0"]),
        (("--method", "kd", "--seed", "7"), ["seed 7 is not among", "there are: 0, 1"]),
        (("--method", "take"), ["'take' is not in run", "did you mean 'takd'", "there are: labels, kd, takd"]),
        (("--expert", "plain_cnn_4@sequential"), ["expert 'plain_cnn_4@sequential'", "is not finished", "plain_cnn_8"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_unfinished_student_has_another_message_than_an_unknown_one(
    part: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: list[str]
) -> None:
    message = refusal(capsys, part, *arguments)
    assert [words for words in named if words not in message] == []
    assert ("the same run command finishes it" in message) == ("not finished" in message)


def test_a_run_without_a_finished_student_says_which_are_missing(tmp_path: Path) -> None:
    store, chosen = Store(str(tmp_path)), planned("methods=[labels, kd]")
    students = [stage.name for stage in chosen.stages if stage.name.startswith("student/")]
    report.write(chosen, store, make_artifacts(chosen, store, students), reused=set(), sizes=SIZES)
    with pytest.raises(ExportError, match=r"no finished student \(missing: labels, kd\); the same run command"):
        find_student(open_run(store, None))


def test_a_student_waits_for_the_teacher_that_it_is_compared_with(tmp_path: Path) -> None:
    store, chosen = Store(str(tmp_path)), planned("methods=[labels]")
    report.write(chosen, store, make_artifacts(chosen, store, ["train/plain_cnn_8"]), reused=set(), sizes=SIZES)
    run = open_run(store, None)
    assert find_student(run).method == "labels"
    with pytest.raises(
        ExportError, match=r"the teacher 'plain_cnn_8', which exported networks are compared with, .* not"
    ):
        run.teacher  # noqa: B018  (looked up on access)


# -- experts, runs and folders -----------------------------------------------------------------------------------


def test_an_expert_is_found_by_the_name_that_the_report_gives_it(run: Run) -> None:
    chosen = find_expert(run, "plain_cnn_4@sequential")
    assert chosen.artifact.name == "train/plain_cnn_4@sequential"
    assert (chosen.network.name, chosen.method, chosen.seed) == ("plain_cnn_4", None, None)


def test_the_run_is_the_latest_unless_another_is_named(run: Run) -> None:
    run.store.write_text(json.dumps(run.report), "reports", "other", "report.json")
    assert open_run(run.store, None).id == run.id
    assert open_run(run.store, "other").id == "other"


def test_files_go_to_a_folder_of_the_run_and_the_student(run: Run) -> None:
    assert default_folder(run, find_student(run, "kd", 1)) == Path("exports") / run.id / "kd-seed1"
    assert default_folder(run, find_expert(run, "plain_cnn_8")) == Path("exports") / run.id / "plain_cnn_8"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("mising",), ["run 'mising'", "there is: tiny-"]),
        (("--method", "kdd"), ["method 'kdd'", "did you mean 'kd'", "labels, kd, kd_smallest"]),
        (("--method", "kd", "--seed", "7"), ["seed 7", "method 'kd'", "there are: 0, 1"]),
        (("--expert", "plain_cnn_2"), ["expert 'plain_cnn_2'", "plain_cnn_8, plain_cnn_6, plain_cnn_4"]),
        (("--expert", "plain_cnn_8", "--method", "kd"), ["--expert", "leave out --method"]),
        (("--format", "onyx"), ["--format", "'onyx'", "safetensors, torch-export, onnx, all"]),
        (("--quantize", "int4"), ["--quantize", "'int4'", "int8"]),
        (("--format", "safetensors", "--quantize", "int8"), ["not for format safetensors", "--format onnx"]),
        (("--format", "torch-export", "--quantize", "int8"), ["format torch-export", "torchao", "--format onnx"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_unknown_choices_are_refused_listing_the_known_ones(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: list[str]
) -> None:
    message = refusal(capsys, run, *arguments)
    assert [part for part in named if part not in message] == []


def test_a_storage_without_runs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--storage", str(tmp_path / "nowhere")]) == 2
    assert "holds no run; make one with python -m orchestrator.run" in capsys.readouterr().err


def test_a_damaged_report_is_named(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.store.write_text("{", "reports", run.id, "report.json")
    assert "report.json is damaged" in refusal(capsys, run)


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_an_artifact_that_is_missing_or_damaged_is_named(run: Run, damage: str) -> None:
    say(run, {("kd", 0): 0.9})
    folder = Path(run.store.folder(find_student(run).artifact.identity))
    if damage == "changed":
        (folder / "taught.npy").write_bytes(b"other")
    else:
        (folder / "artifact.json").unlink()
    with pytest.raises(
        ExportError, match=rf"student kd, seed 0: .*{folder.name}.* the same run command makes it again"
    ):
        find_student(run)
