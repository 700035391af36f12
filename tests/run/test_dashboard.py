"""TensorBoard on a real run, queried over HTTP as its page does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.tracking.hparams import COLUMNS, SHOWN
from orchestrator.tracking.names import SCALARS
from tests.run.conftest import TINY, Finished, Place, environment

pytestmark = pytest.mark.long

HPARAMS = "/experiment/defaultExperimentId/data/plugin/hparams"
ANY_STATUS = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
WAIT_SECONDS = 120
TRIALS, STUDENTS = TINY["search"]["trials"], len(TINY["methods"]) * len(TINY["seeds"])


@dataclass(frozen=True)
class Board:
    """A TensorBoard that is being served."""

    address: str

    def ask(self, path: str, body: dict[str, Any] | None = None, **query: str) -> Any:
        url = f"{self.address}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        request = urllib.request.Request(url, json.dumps(body).encode() if body else None)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def curve(self, run: str, tag: str) -> list[tuple[int, float]]:
        return [(step, value) for _, step, value in self.ask("/data/plugin/scalars/scalars", run=run, tag=tag)]


def until(found: Callable[[], Any], process: subprocess.Popen[str]) -> Any:
    deadline = time.monotonic() + WAIT_SECONDS
    while not (answer := found()):
        assert process.poll() is None and time.monotonic() < deadline, "what was waited for never came"
        time.sleep(0.3)
    return answer


@pytest.fixture(scope="module")
def board(undisturbed: tuple[Place, Finished]) -> Iterator[Board]:
    """The command on the last run of a storage, when all its curves are read."""
    place, _ = undisturbed
    said = place.folder / "dashboard.log"
    with said.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "orchestrator.dashboard", "--storage", str(place.storage)],
            cwd=place.folder, env=environment(), stdout=stream, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    try:
        found = until(lambda: re.search(r"http://127\.0\.0\.1:\d+", said.read_text()), process)
        board = Board(found.group())
        until(lambda: len(board.ask("/data/runs")) == len(folders(place)), process)
        until(lambda: all(session["metricValues"] for session in table(board)) and len(table(board)), process)
        yield board
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


def folders(place: Place) -> set[Path]:
    return {path.parent for path in place.storage.glob("logs/**/events.out.tfevents*")}


def table(board: Board) -> list[dict[str, Any]]:
    """The rows of the HPARAMS tab."""
    asked = {"startIndex": 0, "sliceSize": 100, "allowedStatuses": ANY_STATUS, "experimentName": ""}
    found: list[dict[str, Any]] = board.ask(f"{HPARAMS}/session_groups", asked).get("sessionGroups", [])
    return found


def test_every_network_student_and_trial_has_one_file_of_curves(undisturbed: tuple[Place, Finished]) -> None:
    place, _ = undisturbed
    assert all(len(list(folder.glob("events*"))) == 1 for folder in folders(place))
    trained = [stage for stage in place.report()["stages"] if stage["kind"] == "train"]
    assert len(folders(place)) == len(trained) + TRIALS


def test_runs_have_the_names_of_their_stages(board: Board, undisturbed: tuple[Place, Finished]) -> None:
    names = set(board.ask("/data/runs"))
    trained = {stage["name"] for stage in undisturbed[0].report()["stages"] if stage["kind"] == "train"}
    assert trained <= names
    assert all(re.fullmatch(r"search/trial-\d{3}-[0-9a-f]{8}", name) for name in names - trained)


def test_every_curve_is_served_with_a_description(board: Board) -> None:
    tags = board.ask("/data/plugin/scalars/tags")
    everywhere = {scalar.tag for scalar in SCALARS.values() if not scalar.tag.startswith("curriculum/")}
    for run, served in tags.items():
        assert everywhere <= set(served), run
        assert all(about["description"] for about in served.values()), run
    taught = {f"experts/{name}" for name in ("plain_cnn_8", "plain_cnn_6", "plain_cnn_4")}
    assert {"curriculum/active_fraction", "curriculum/expert_limit", *taught} <= set(tags["student/ces_kd/seed-0"])


def test_a_curve_is_the_training_s_history(board: Board, undisturbed: tuple[Place, Finished]) -> None:
    place, _ = undisturbed
    for name in ("train/plain_cnn_6", "student/ces_kd/seed-1"):
        history = place.storage / "artifacts" / place.artifacts()[name]["identity"] / "history.json"
        wanted = [(row["step"], row["validation_loss"]) for row in json.loads(history.read_text())]
        found = board.curve(name, "loss/validation")
        assert [step for step, _ in found] == [step for step, _ in wanted]
        assert [value for _, value in found] == pytest.approx([value for _, value in wanted], rel=1e-6)


def test_the_table_has_a_row_for_each_trial_and_final_student(
    board: Board, undisturbed: tuple[Place, Finished]
) -> None:
    rows = table(board)
    kinds = [row["hparams"]["kind"] for row in rows]
    assert (kinds.count("trial"), kinds.count("student"), len(rows)) == (TRIALS, STUDENTS, TRIALS + STUDENTS)
    found = {row["name"]: [item["value"] for item in row["metricValues"]] for row in rows}
    report = undisturbed[0].report()
    for student in report["methods"]:
        accuracy, _ = found[f"student/{student['method']}/seed-{student['seed']}"]
        assert accuracy == pytest.approx(student["validation_accuracy"])
    for trial in report["search"]["trials"]:
        name = f"search/trial-{trial['id']:03d}-{trial['identity'].rsplit('-', 1)[-1][:8]}"
        assert found[name] == pytest.approx([trial["validation_accuracy"], trial["validation_loss"]])
        hparams = next(row["hparams"] for row in rows if row["name"] == name)
        assert trial["config"].items() <= hparams.items()


def test_the_table_shows_columns_at_first_that_every_row_has(board: Board) -> None:
    experiment = board.ask(f"{HPARAMS}/experiment", {"experimentName": ""})
    columns = [column["name"] for column in experiment["hparamInfos"]]
    assert set(columns) == set(COLUMNS) and set(columns[: len(SHOWN)]) == set(SHOWN)
    assert [metric["displayName"] for metric in experiment["metricInfos"]] == ["validation accuracy", "validation loss"]
    for row in table(board):  # a row without a value in a column that is shown is missing in the plots
        assert set(SHOWN) <= set(row["hparams"]), row["name"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nonsense"], "run 'nonsense' is not in storage"), (["--storage", "nowhere"], "has no curves")],
)
def test_a_missing_run_or_storage_is_reported_in_one_line(
    undisturbed: tuple[Place, Finished], arguments: list[str], said: str
) -> None:
    place, _ = undisturbed
    command = [sys.executable, "-m", "orchestrator.dashboard", "--storage", str(place.storage), *arguments]
    done = subprocess.run(command, cwd=place.folder, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
