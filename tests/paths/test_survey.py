"""A comparison of TA paths, from artifacts made by hand: what it trains, chooses and says."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import plotly.graph_objects
import pytest
from pydantic import TypeAdapter

from orchestrator.artifacts.store import Artifact, Store
from orchestrator.datasets import describe
from orchestrator.errors import OptionError
from orchestrator.paths.planning import Lattice
from orchestrator.paths.survey import Question, Survey
from orchestrator.report.content.paths_schema import PathsReport
from orchestrator.report.page.figures.paths import accuracy_against_cost
from orchestrator.report.page.paths import page_of_paths
from orchestrator.report.path_words import coverage, result
from tests.examples import make_artifacts, tiny
from tests.report.examples import read, words

MULTIPLY_ADDS = {"plain_cnn_8": 1000, "plain_cnn_6": 300, "plain_cnn_4": 100, "plain_cnn_2": 10}
# By the student's path: no TA, plain_cnn_6, plain_cnn_4, both. The third is nearly as good as the best, and cheaper.
ACCURACY = {"8-plain_cnn_2": 0.70, "6-plain_cnn_2": 0.75, "8-plain_cnn_4-plain_cnn_2": 0.799, "6-plain_cnn_4": 0.80}


def survey(*overrides: str, **changes: Any) -> Survey:
    recipe = tiny("distillation.source=online", *overrides)
    asked: dict[str, Any] = {"topologies": ("direct", "sequential"), "seeds": 2, "finalists": 2, "final_seeds": 3}
    question = Question(**(asked | changes))
    lattice = Lattice(recipe, describe(recipe.dataset), None, question.topologies, question.seeds)
    return Survey(lattice, question, MULTIPLY_ADDS, "python -m orchestrator.paths tiny.yaml")


def trained(asked: Survey, store: Store, chosen: list[int] | None = None) -> dict[str, Artifact]:
    """The artifacts of the first round, or with finalists those of the second. Seed s is 0.01 s better than seed 0."""
    students = asked.first_students() if chosen is None else asked.final_students(chosen)
    made = make_artifacts(asked.lattice.plan(students, evaluated=chosen is not None), store)
    for student in students:
        accuracy = [value for name, value in ACCURACY.items() if name in student.train.name][-1]
        before = made[student.train.identity]
        results = {**before.results, "validation_accuracy": accuracy + 0.01 * student.seed}
        made[before.identity] = dataclasses.replace(before, results=results)
    return made


def finished(asked: Survey, folder: Path) -> PathsReport:
    store = Store(str(folder))
    artifacts = trained(asked, store)
    chosen = asked.choose(artifacts)
    return asked.content({**artifacts, **trained(asked, store, chosen)}, chosen)


def test_a_path_costs_all_trainings_of_one_student() -> None:
    """30 steps of 32 images, three forwards of what is trained and one of the expert beside it."""
    rows = survey().content({})["rows"]
    image = 30 * 32
    teacher, ta = image * 3 * 1000, image * (3 * 300 + 1000)
    assert rows[0]["multiply_adds"] == teacher + image * (3 * 10 + 1000)
    assert rows[1]["multiply_adds"] == teacher + ta + image * (3 * 10 + 300)
    assert rows[3]["multiply_adds"] == teacher + ta + image * (3 * 100 + 300) + image * (3 * 10 + 100)
    assert [row["networks"] for row in rows] == [2, 3, 3, 4]


def test_finalists_are_chosen_on_validation_and_they_alone_are_tested(tmp_path: Path) -> None:
    asked = survey()
    content = finished(asked, tmp_path)
    assert [row["finalist"] for row in content["rows"]] == [False, False, True, True]
    assert [len(row["seeds"]) for row in content["rows"]] == [2, 2, 3, 3]
    assert [len(row["test"]) for row in content["rows"]] == [0, 0, 3, 3]
    evaluated = asked.lattice.plan(asked.first_students(), evaluated=False)
    assert all(stage.kind != "evaluate" for stage in evaluated.stages)
    assert content["complete"]


def test_the_cheapest_path_within_the_seed_spread_of_the_best_is_named(tmp_path: Path) -> None:
    content = finished(survey(), tmp_path)
    assert (content["best"], content["cheapest"]) == (4, 3)
    best, cheapest = result(content)
    assert best.startswith("Best on validation images: plain_cnn_6 > plain_cnn_4 (sequential), 81.00")
    assert "The cheapest path within its seed spread: plain_cnn_4, 80.90" in cheapest
    assert [row["on_front"] for row in content["rows"]] == [True, False, True, True]


def test_before_every_path_is_trained_nothing_is_chosen(tmp_path: Path) -> None:
    asked = survey()
    artifacts = trained(asked, Store(str(tmp_path)))
    del artifacts[asked.paths[0].student(0).train.identity]
    content = asked.content(artifacts)
    assert content["rows"][0]["validation_mean"] is None and content["rows"][1]["validation_mean"] is not None
    assert result(content) == ["No path can be chosen yet."] and not content["complete"]


def test_one_seed_has_no_spread_to_choose_by(tmp_path: Path) -> None:
    content = finished(survey(seeds=1, final_seeds=1), tmp_path)
    assert "One seed has no spread" in result(content)[1]


def test_it_says_how_much_of_the_lattice_it_saw_and_what_sharing_saves(tmp_path: Path) -> None:
    said = " ".join(coverage(finished(survey(), tmp_path)))
    assert "2 TAs in topologies direct and sequential: 8 paths, 4 of them with different students" in said
    assert "Seen: 4 of the 4, with 2 seeds each." in said
    assert "the finalists' further seeds included." in said
    # 4 networks of the ladder and 4 * 2 students; 2 more for the finalists; 2 * (4 teachers, 4 TAs, 8 students) apart.
    assert "Trainings: 14 here" in said
    assert "All paths take 12 at 2 seeds with every stage shared, and 31 if each" in said


def test_before_the_finalists_are_chosen_their_further_seeds_are_not_counted() -> None:
    said = " ".join(coverage(survey().content({})))
    assert "Trainings: 12 here, the finalists' further seeds not included yet." in said


def test_a_budget_counts_shared_trainings_once_and_the_finalists_further_seeds(tmp_path: Path) -> None:
    content = finished(survey(budget=9), tmp_path)
    assert content["seen"] == 2 and content["trainings"] <= 9
    assert [row["seen"] for row in content["rows"]] == [True, False, True, False]
    said = " ".join(coverage(content))
    assert "Seen: 2 of the 4" in said and "The budget is 9 trainings; cheapest first" in said


def test_a_budget_below_the_cheapest_path_is_refused_with_the_least_that_will_do() -> None:
    with pytest.raises(OptionError, match="--budget 3: the cheapest path and a finalist's further seeds take 4"):
        survey(budget=3)
    assert survey(budget=4).seen == [0]


def test_the_same_comparison_has_the_same_name_and_another_one_has_not() -> None:
    assert survey().id == survey().id != survey(seeds=1).id
    assert survey().id.startswith("tiny-paths-")


def test_the_content_fits_its_schema(tmp_path: Path) -> None:
    adapter = TypeAdapter(PathsReport)
    for content in (survey().content({}), finished(survey(), tmp_path)):
        plain = json.loads(json.dumps(content, allow_nan=False))
        assert adapter.dump_python(adapter.validate_json(json.dumps(plain), strict=True), mode="json") == plain


def test_the_page_has_the_answers_the_picture_and_the_table(tmp_path: Path) -> None:
    text = page_of_paths(finished(survey(), tmp_path))
    assert "The cheapest path within its seed spread: plain_cnn_4" in words(text, "answers")
    assert "plain_cnn_6 > plain_cnn_4" in words(text, "table")
    assert "python -m orchestrator.paths tiny.yaml" in words(text, "again")
    (figure,) = read(text).figures
    layout = json.loads(json.dumps(figure["layout"]).replace('"var(--raised)"', '"#ffffff"'))
    plotly.graph_objects.Figure(data=figure["data"], layout=layout)  # raises on a property or value unknown to it


def test_it_says_what_every_path_distills_with() -> None:
    content = survey("distillation.loss=dkd", "distillation.temperature=3", "distillation.dkd.beta=4").content({})
    assert content["distillation"] == {
        "loss": "dkd", "loss_parameters": {"alpha": 1.0, "beta": 4.0, "warmup": 0.083}, "temperature": 3.0,
        "kd_weight": 1.0, "ce_weight": 1.0,
    }  # fmt: skip
    said = words(page_of_paths(content), "table")
    assert "Every path distills with the loss dkd (alpha 1.0, beta 4.0, warmup 0.083): kd in two terms" in said
    assert "at temperature 3, of weight 1 beside the labels' cross-entropy of weight 1." in said


def test_the_picture_marks_finalists_and_joins_the_front(tmp_path: Path) -> None:
    drawn = accuracy_against_cost(finished(survey(), tmp_path))
    assert drawn is not None
    front, direct, sequential = drawn["data"]
    assert front["name"] == "Pareto front" and len(front["x"]) == 3
    assert direct["marker"]["symbol"] == ["circle", "circle", "star"] and direct["text"] == ["1", "2", "3"]
    assert sequential["marker"]["symbol"] == ["star"]


def test_the_page_of_a_comparison_that_has_shown_nothing_yet_is_written_too() -> None:
    assert "No path can be chosen yet." in words(page_of_paths(survey().content({})), "answers")
