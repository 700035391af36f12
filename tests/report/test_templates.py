"""Text and tags of the page, report.md and the model card come from templates, names of methods from their table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest

from orchestrator.recipe.methods import METHODS
from orchestrator.report.templates import fill
from tests.examples import ROOT

TAG = re.compile(r"</?(a|b|body|code|div|figure|h[1-6]|head|html|img|li|main|nav|p|section|span|strong|t[adhr]|ul)\b")
ROOMS = [ROOT / "orchestrator" / room for room in ("report", "export")]
FILES = sorted(path for room in ROOMS for path in room.rglob("*.py"))


def texts(path: Path) -> Iterator[str]:
    """Literals of a file, docstrings aside."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_python_file_writes_tags_or_names_a_method(path: Path) -> None:
    found = list(texts(path))
    assert [text for text in found if TAG.search(text) and path.name != "templates.py"] == []  # it marks up code words
    assert [text for text in found if text in METHODS] == []


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="warnings"):
        fill("orchestrator.report.page", "warnings.html")


def test_text_is_escaped_and_code_words_are_marked() -> None:
    shown = fill("orchestrator.report.page", "warnings.html", warnings=["`<b>` is **not** & never <i>"])
    assert "<code>&lt;b&gt;</code> is <strong>not</strong> &amp; never &lt;i&gt;." in shown
