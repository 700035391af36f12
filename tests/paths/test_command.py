"""The command ``python -m orchestrator.paths`` in this process: what it refuses, plans, and shows of cached stages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.artifacts.store import Artifact, Store
from orchestrator.commands.execution import Executed, Publish
from orchestrator.commands.preparation import Request
from orchestrator.datasets import describe
from orchestrator.errors import BAD_INPUT
from orchestrator.execution.ray_session import RaySession
from orchestrator.paths import __main__ as command
from orchestrator.paths.__main__ import main
from orchestrator.paths.planning import Lattice
from orchestrator.paths.survey import Question, Survey
from orchestrator.pipeline.graph import Plan
from orchestrator.report.content.paths_schema import PathsReport
from tests.examples import TINY, make_artifacts, tiny

SMALL = [TINY, "training.precision=fp32"]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*SMALL, *arguments]) == BAD_INPUT
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--topologies", "direct,sequental"],
            "--topologies: found 'sequental'; give any of direct, sequential",
        ),
        (["--topologies", "direct,sequental"], "did you mean 'sequential'?"),
        (["--seeds", "0"], "--seeds 0: give 1 or more"),
        (["--seeds", "4", "--final-seeds", "3"], "--final-seeds 3 is below --seeds 4"),
        (["--budget", "0"], "--budget 0: give 1 or more"),
        (["--budget", "3"], "--budget 3: the cheapest path and a finalist's further seeds take 6 trainings"),
        (["ladder.networks=[plain_cnn_4, plain_cnn_2]"], "found 0 TAs between teacher and student; give 1 to 10"),
        (
            ["ladder.networks=[plain_cnn_4, {name: plain_cnn_4, at: 0.5}, plain_cnn_2]"],
            "ladder.networks has plain_cnn_4@0.5, which cost no training of their own; leave snapshots out",
        ),
    ],
)
def test_what_can_t_be_used_is_refused_in_one_message(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert said in refused(capsys, *arguments, "--storage", str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_prints_the_paths_and_the_trainings_with_and_without_sharing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*SMALL, "--dry-run", "--storage", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr().out
    assert "plain_cnn_6 > plain_cnn_4 | sequential" in said
    assert "All paths take 12 at 2 seeds with every stage shared, and 31 if each path trains all" in said
    assert "Then 9 more, for the further seeds of the best 3." in said
    assert "0 of 17 stages of the first round are cached." in said
    assert not (tmp_path / "runs" / "reports").exists()


def test_with_every_stage_cached_it_shows_the_result_and_writes_the_report_without_ray(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    store, recipe = Store(str(tmp_path / "runs")), tiny("training.precision=fp32")
    question = Question(("direct", "sequential"), seeds=2, finalists=3, final_seeds=5)
    lattice = Lattice(recipe, describe(recipe.dataset), None, question.topologies, question.seeds)
    survey = Survey(lattice, question, {}, "")
    artifacts = make_artifacts(lattice.plan(survey.first_students(), evaluated=False), store)
    every = [path.student(seed) for path in lattice.different for seed in lattice.seeds(5)]
    make_artifacts(lattice.plan(every, evaluated=True), store)
    assert len(artifacts) == 17

    assert main([*SMALL, "--storage", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr().out
    assert "Best on validation images" in said and said.splitlines()[-1].endswith(f"{survey.id}/paths.html")
    content = json.loads(Path(store.path("reports", survey.id, "paths.json")).read_text())
    assert content["complete"] and sum(row["finalist"] for row in content["rows"]) == 3
    assert "tiny: TA paths" in Path(store.path("reports", survey.id, "paths.html")).read_text()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[PathsReport]:
    """Makes every stage at once, without Ray; holds the report as it was published in each round."""
    published: list[PathsReport] = []

    def executed(
        request: Request, planned: Plan, kept: dict[str, Artifact], sizes: object, told: object, publish: Publish,
        *_: object,
    ) -> Executed:  # fmt: skip
        artifacts = {**kept, **make_artifacts(planned, request.store)}
        publish(artifacts, None)
        (file,) = Path(request.store.path("reports")).glob("*/paths.json")
        published.append(json.loads(file.read_text()))
        return Executed(artifacts)

    monkeypatch.setattr(command, "execute", executed)
    for name in ("find", "open"):
        monkeypatch.setattr(RaySession, name, lambda _: None)
    return published


def test_the_report_of_the_second_round_keeps_the_results_of_the_first(
    at_once: list[PathsReport], tmp_path: Path
) -> None:
    assert main([*SMALL, "--storage", str(tmp_path)]) == 0
    first, second = at_once
    assert not first["complete"] and second["complete"]
    for content in (first, second):
        assert None not in [row["validation_mean"] for row in content["rows"]]


def test_the_second_round_has_the_precision_of_a_first_round_that_was_cached(
    at_once: list[PathsReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another precision would leave the finalists without the students by which they were chosen."""
    recipe = tiny("training.precision=fp32")
    lattice = Lattice(recipe, describe(recipe.dataset), None, ("direct", "sequential"), 2)
    first = Survey(lattice, Question(("direct", "sequential"), 2, 3, 5), {}, "").first_students()
    make_artifacts(lattice.plan(first, evaluated=False), Store(str(tmp_path)))

    def measured(*_: object) -> None:
        pytest.fail("the precision was measured")

    monkeypatch.setattr(command, "measure_precision", measured)
    assert main([TINY, "training.precision=auto", "--storage", str(tmp_path)]) == 0
    (content,) = at_once
    assert content["complete"] and [len(row["test"]) for row in content["rows"]].count(5) == 3
