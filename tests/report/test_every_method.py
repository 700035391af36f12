"""Every method of the table, and one of each expert alone, in the page and in report.md."""

from __future__ import annotations

import pytest

from orchestrator.recipe.methods import METHODS, method_of
from tests.report.examples import Made, page, run_of, words
from tests.report.written import rows_of, written

EXPERTS = ("plain_cnn_8", "plain_cnn_6", "plain_cnn_4")
NAMES = (*METHODS, *(f"kd:{name}" for name in EXPERTS))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    asked = f"methods=[{', '.join(METHODS)}, kd:*]"
    return run_of(tmp_path_factory.mktemp("runs"), asked, "search.methods=", "seeds=[0, 1]")


def test_report_md_has_a_row_for_each_with_its_words_and_trials(made: Made) -> None:
    content, text = written(*made)
    rows = rows_of(text, "Methods")
    assert tuple(rows) == NAMES
    for name, (*_, trials, said) in rows.items():
        assert said == method_of(name).taught_by
        assert (trials == "0") == (name == "labels")
    assert content["coinciding"] == {"kd:plain_cnn_8": "kd", "kd:plain_cnn_4": "kd_smallest"}
    assert set(content["experts_by_stratum"]["methods"]) == {"ces_kd", "ces_random", "ces_reversed"}


def test_the_page_shows_each_in_its_look(made: Made) -> None:
    shown = page(made)
    for name in NAMES:
        assert name in words(shown, "methods")
        assert method_of(name).look.colour in shown
