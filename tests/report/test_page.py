"""report.html, from artifacts made by hand: what it answers, what it shows, and what it leaves out."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from pathlib import Path

import numpy as np
import plotly.graph_objects
import pytest

from orchestrator import report
from orchestrator.artifacts import dataset
from orchestrator.artifacts.store import Store
from orchestrator.report import storage
from tests.artifacts.formats import about_data
from tests.artifacts.stores import remote
from tests.examples import make_artifacts, planned
from tests.report.examples import Made, page, read, run_of, trials, words
from tests.report.written import SIZES


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A whole run."""
    return run_of(tmp_path)


# -- what it answers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Which method won?", "labels has the highest mean test accuracy: 75.00 % over 2 seeds"),
        (
            "Is the difference larger than the spread over seeds?",
            "No. ces_kd less labels, the baseline with the highest mean validation accuracy: ",
        ),
        ("Is the difference larger than the spread over seeds?", "95 % interval −4.71 to +2.91"),
        (
            "Is the difference larger than the spread over seeds?",
            "(80 % power, two-sided at 5 %); to detect the one found",
        ),
        ("Which pacing schedule?", "mode promote"),
        ("Which pacing schedule?", "pacing linear with a = 0.6 (everything is in play after 60 % of training)"),
        ("How sensitive is the result to the schedule?", "from 50.00 % to 60.00 % (a range of 10.00 points)"),
        ("How sensitive is the result to the schedule?", "middle half lies between 52.50 % and 57.50 %"),
        ("Which expert taught which images?", "the easiest by plain_cnn_4 (100 %)"),
        ("Which expert taught which images?", "the hardest by plain_cnn_8 (100 %)"),
        ("What ran when, and where?", "on 1 node (here)"),
        ("What did it cost?", "slot-seconds"),
        ("What did it cost?", "4.0 and 4.0 times fewer than the teacher plain_cnn_8"),
        ("How to have it again?", "Seeds of the students: 0, 1"),
    ],
)
def test_each_question_is_answered_in_words(made: Made, question: str, answer: str) -> None:
    _, _, after = words(page(made), "answers").partition(question)
    assert answer in after


def test_a_run_of_one_seed_says_that_a_difference_can_t_be_told(tmp_path: Path) -> None:
    assert "one seed has no spread" in words(page(run_of(tmp_path, "seeds=[0]")), "answers")


def test_the_values_of_many_seeds_are_folded_behind_their_range(tmp_path: Path) -> None:
    text = page(run_of(tmp_path, "methods=[labels, kd]", f"seeds={list(range(10))}"))
    said = words(text, "methods")
    assert "each seed" in said and "(10 seeds)0: 70.00 %, 1: 80.00 %," in said
    assert 'id="seeds-kd"' in text
    assert "Seeds of the students: 0, 1, 2, ..., 9 (10 of them)." in words(text, "answers")


def test_a_run_without_curriculum_methods_or_search_says_so(tmp_path: Path) -> None:
    text = page(run_of(tmp_path, "methods=[labels, kd]", "distillation.source=online"))
    said = words(text, "answers")
    assert "No method of this recipe has a curriculum" in said and "Nothing was searched" in said
    assert read(text).text.keys() == {"answers", "methods", "capacity", "timeline", "cost", "again"}


def test_where_the_best_trial_has_no_pacing_the_best_that_has_is_named_too(tmp_path: Path) -> None:
    chosen, store, artifacts = run_of(tmp_path)
    identity = chosen.searches["ces_kd"].identity
    static = {**trials(7)[-1], "config": {"mode": "static", "selector": "stratified"}}
    results = artifacts[identity].results | {"trials": [*trials(6), static], "best": static}
    artifacts[identity] = dataclasses.replace(artifacts[identity], results=results)
    said = words(page((chosen, store, artifacts)), "answers")
    assert "Pacing has no part in it" in said
    assert "best trial with pacing, 5, had 60.00 % after 10 steps, where this one had 62.00 %: mode promote" in said


def test_where_no_taught_method_beats_labels_the_first_answer_says_what_to_try(made: Made, tmp_path: Path) -> None:
    said = words(page(made), "answers")  # in these runs every later method is a little worse
    assert "No taught method beats labels here. What to try:" in said
    assert "searching temperature and weight of kd, kd_smallest, takd, dgkd and dgkd_stochastic" in said
    assert "none is better than the student on labels" in said
    searched = words(page(run_of(tmp_path, "search.methods=null")), "answers")
    assert "a wider search.space for temperature and kd_weight" in searched
    assert "a learning rate of its own for every method (search.space.learning_rate)" in searched
    chosen = run_of(tmp_path / "rates", "search.methods=null", "search.space.learning_rate=[0.02, 0.4]")
    assert "a learning rate of its own" not in words(page(chosen), "answers")
    assert re.search(r"labels\s*(-\s*){4}0\.1\s*no curriculum", words(page(chosen), "schedule"))
    assert "No taught method" not in words(page(run_of(tmp_path / "b", "methods=[kd, ces_kd]")), "answers")


def test_a_search_over_losses_is_shown_with_the_loss_of_each_trial(tmp_path: Path) -> None:
    chosen, store, artifacts = run_of(tmp_path, "search.space.losses=[kd, dkd]", "search.space.ce_weight=[0.1, 1]")
    identity = chosen.searches["ces_kd"].identity
    tried = [
        {**trial, "config": {**trial["config"], "loss": ("kd", "dkd")[trial["id"] % 2], "ce_weight": 0.5}}
        for trial in trials(7)
    ]
    results = artifacts[identity].results | {"trials": tried, "best": tried[-1]}
    artifacts[identity] = dataclasses.replace(artifacts[identity], results=results)
    text = page((chosen, store, artifacts))
    assert "Loss kd, temperature 4.0" in words(text, "answers")
    assert "dkd" in words(text, "search") and "ce_weight" in words(text, "search")


def test_the_settings_of_the_students_name_the_loss_its_parameters_and_both_weights(made: Made) -> None:
    assert "kddkd (beta 8.0)290.10.1no curriculum" in words(page(made), "schedule")


def test_wrong_labels_that_the_recipe_asks_for_are_counted_in_the_first_answer(made: Made) -> None:
    chosen, _, artifacts = made
    assert "wrong label" not in words(page(made), "answers")
    ingested = artifacts[chosen.stages[0].identity]
    counts = ingested.results["counts"] | {"wrong_labels": 128}
    artifacts[ingested.identity] = dataclasses.replace(ingested, results=ingested.results | {"counts": counts})
    said = words(page(made), "answers")
    assert "128 of 320 training images have a wrong label, as the recipe asks (dataset.label_noise)" in said


def test_ladders_of_several_seeds_are_named_with_the_students_that_they_teach(tmp_path: Path, made: Made) -> None:
    assert "The ladder was trained" not in words(page(made), "methods")
    text = page(run_of(tmp_path / "two", "ladder.seeds=[4, 9]", "seeds=[0, 1, 2]"))
    said = words(text, "methods")
    assert "seed 4 teaches the students of seeds 0 and 2; that of seed 9 teaches the students of seed 1." in said
    assert "taught by 2 ladders in turn, so the spread counts the ladder too; students of one ladder are" in words(
        text, "answers"
    )
    assert "plain_cnn_8@seed-9" in words(text, "capacity")


# -- what it shows -----------------------------------------------------------------------------------------------


def test_the_examples_of_each_stratum_are_small_images_with_label_and_difficulty(made: Made) -> None:
    images = read(page(made)).images
    assert len(images) == 30
    assert all((image["src"] or "").startswith("data:image/png;base64,") for image in images)
    assert images[0]["alt"] is not None and images[-1]["alt"] is not None
    assert "difficulty 0.07" in images[0]["alt"] and "severity 0.02" in images[0]["alt"]
    assert "right: plain_cnn_4, plain_cnn_6, plain_cnn_8" in images[0]["alt"]
    assert "right: plain_cnn_8" in images[-1]["alt"]


def test_the_experts_right_on_each_stratum_are_counted_from_the_logits(made: Made) -> None:
    (heat,) = (figure["data"][0] for figure in read(page(made)).figures if figure["data"][0]["type"] == "heatmap")
    assert heat["x"] == ["plain_cnn_4", "plain_cnn_6", "plain_cnn_8"]  # right on the first 1/2, 3/4 and all images
    assert heat["z"][0] == [100, 100, 100] and heat["z"][1] == [50, 100, 100]
    assert heat["z"][2] == pytest.approx([0, 25, 100], abs=1)


def test_plotly_knows_every_property_of_every_figure(made: Made) -> None:
    figures = read(page(made)).figures
    assert len(figures) == 12
    for figure in figures:
        layout = json.loads(json.dumps(figure["layout"]).replace('"var(--raised)"', '"#ffffff"'))
        plotly.graph_objects.Figure(data=figure["data"], layout=layout)  # raises on a property or value unknown to it


def test_names_and_messages_are_escaped_in_the_page(made: Made) -> None:
    text = page(made)
    assert "<b>bird</b>" not in text and "&lt;b&gt;bird&lt;/b&gt;" in text and "cat &amp; dog" in text


def test_the_page_needs_no_other_file(made: Made) -> None:
    text = page(made)
    assert 'src="http' not in text and "<link" not in text.replace('<link rel="icon" href="data:,">', "")
    assert "url(" not in text.partition("<style>")[2].partition("</style>")[0]


# -- runs that are not complete, or not readable -----------------------------------------------------------------


def test_figures_without_their_data_are_left_out(tmp_path: Path) -> None:
    chosen = planned()
    names = [stage.name for stage in chosen.stages if stage.name != "ingest"]
    text = page(run_of(tmp_path, without=tuple(names)))
    assert "No final student has been tested yet" in words(text, "answers")
    assert "1 of" in words(text, "status") and "missing" in words(text, "status")


def test_a_run_of_which_nothing_is_there_has_a_page(tmp_path: Path) -> None:
    assert "Nothing has been done yet" in words(page((planned(), Store(str(tmp_path)), {})), "answers")


def test_artifacts_without_their_files_leave_out_only_what_was_read_from_them(tmp_path: Path) -> None:
    chosen, store = planned(), Store(str(tmp_path))
    text = page((chosen, store, make_artifacts(chosen, store)))
    assert "75.00 %" in words(text, "methods") and "Who taught whom" in words(text, "experts")
    assert read(text).images == []


def test_a_note_stands_in_place_of_images_that_can_t_be_read(made: Made) -> None:
    chosen, store, _ = made
    ingest = Path(store.folder(chosen.stages[0].identity))
    (ingest / dataset.IMAGES).unlink()
    assert "No images are shown" in words(page(made), "experts")


def test_photos_are_read_from_where_the_recipe_says(made: Made, tmp_path: Path) -> None:
    from PIL import Image

    chosen, store, artifacts = made
    ingest = Path(store.folder(chosen.stages[0].identity))
    about = about_data(layout="files", classes=4, class_names=("a", "b", "c", "d"))
    paths = [f"train/{number}.png" for number in range(448)]
    dataset.write_files(ingest, about, np.arange(448) % 4, np.zeros(448, np.uint8), paths)
    content = report.build(chosen, store, artifacts, set(), SIZES)
    content["recipe"]["dataset"]["root"] = str(tmp_path / "photos")
    from orchestrator.report.page.examples import examples
    from orchestrator.report.page.scored import scored

    found = scored(content, store)
    assert found is not None
    said = examples(content, store, found)
    assert isinstance(said, str) and "No images are shown" in said and "photos" in said
    (tmp_path / "photos" / "train").mkdir(parents=True)
    for number in range(448):
        Image.new("RGB", (300, 200), (number % 256, 0, 0)).save(tmp_path / "photos" / "train" / f"{number}.png")
    shown = examples(content, store, found)
    assert len(shown) == 30


def test_a_page_can_lie_on_storage_that_is_not_mounted(tmp_path: Path) -> None:
    chosen, store = planned("methods=[labels, ces_kd]"), remote(tmp_path)
    report.write(chosen, store, make_artifacts(chosen, store), set(), SIZES)
    assert "75.00" in (store.read_text("reports", chosen.run_id, "report.html") or "")


# -- when it is made ---------------------------------------------------------------------------------------------


def written_at(made: Made) -> list[int]:
    files = [Path(made[1].path("reports", made[0].run_id, name)) for name in ("report.html", "report.md")]
    return [file.stat().st_mtime_ns for file in files]


def test_a_page_is_made_again_only_when_there_is_something_new(made: Made) -> None:
    chosen, store, artifacts = made
    page(made)
    before = written_at(made)
    page(made)
    page(made, reused=set(artifacts))  # a run that had nothing to do
    assert written_at(made) == before
    last = chosen.finals[-1].evaluate.identity
    changed = vars(artifacts[last]) | {"results": artifacts[last].results | {"test_accuracy": 0.9}}
    page((chosen, store, artifacts | {last: type(artifacts[last])(**changed)}))
    assert all(new > old for new, old in zip(written_at(made), before, strict=True))


@pytest.mark.parametrize("name", ["report.html", "report.md"])
def test_a_page_or_a_report_md_that_is_missing_is_made_again(made: Made, name: str) -> None:
    page(made)
    file = Path(made[1].path("reports", made[0].run_id, name))
    file.unlink()
    assert "Which method won?" in page(made) and file.exists()


def test_a_page_made_again_from_report_json_is_the_same(made: Made) -> None:
    first = page(made)
    for stage in made[0].stages:  # a report.json of before, read with other artifacts in memory
        assert stage.identity in made[2]
    path = Path(storage.rebuild(made[1]))
    assert path.read_text() == first


def test_a_report_json_without_the_fields_that_were_added_later_gives_a_page_too(made: Made) -> None:
    page(made)
    place = Path(made[1].path("reports", made[0].run_id, "report.json"))
    content = json.loads(place.read_text())
    for field in ("comparisons", "sensitivity", "cost", "images"):
        del content[field]
    for field in ("ladders", "validation"):
        del content["seeds"][field]
    for field in ("live", "command"):
        del content["run"][field]
    for row in content["stages"]:
        for field in ("slot_seconds", "state", "status", "since", "error"):
            del row[field]
    place.write_text(json.dumps(content))
    text = Path(storage.rebuild(made[1])).read_text()
    assert f"{2 * len(made[0].stages)} slot-seconds" in words(text, "answers")


def test_writing_again_when_little_is_new_takes_well_under_a_second(made: Made) -> None:
    chosen, store, artifacts = made
    page(made)
    before = time.process_time()
    last = chosen.finals[-1].evaluate.identity
    page((chosen, store, {key: value for key, value in artifacts.items() if key != last}))
    assert time.process_time() - before < 0.5
