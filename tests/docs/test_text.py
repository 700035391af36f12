"""What the pages say between the examples: links lead somewhere, files exist, fields and recipes are real."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.recipe import loading as recipes
from orchestrator.recipe.methods import METHODS
from orchestrator.recipe.reference import COMMAND, fields, page
from tests.docs.pages import ROOT, pages, prose

EACH_PAGE = pytest.mark.parametrize(
    "path", [*pages(), ROOT / "CONTRIBUTING.md"], ids=lambda path: str(path.relative_to(ROOT))
)
SECTIONS = {field.name for field in fields() if field.kind != "value" and "." not in field.name}
FIELDS = {re.sub(r"\[\]", "", field.name) for field in fields()}
FILE_ENDINGS = ("json", "py", "yaml", "md", "parquet", "safetensors")


def code_words(path: Path) -> Iterator[str]:
    """What stands between backticks in a page's sentences."""
    yield from re.findall(r"`([^`\n]+)`", prose(path))


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@EACH_PAGE
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path).replace("\n", " ")):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        leads_to = (path.parent / file).resolve() if file else path
        assert leads_to.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", leads_to.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), target


@EACH_PAGE
def test_every_file_of_the_project_that_is_named_exists(path: Path) -> None:
    top = {item.name for item in ROOT.iterdir() if item.name not in ("runs", "data")}
    for word in code_words(path):
        if re.fullmatch(r"[\w.-]+(/[\w.-]*)+", word) and word.partition("/")[0] in top:
            assert (ROOT / word).exists(), word


@EACH_PAGE
def test_every_field_of_a_recipe_that_is_named_exists(path: Path) -> None:
    for word in code_words(path):
        name = re.split(r"[=:]", word)[0].strip()
        if re.fullmatch(r"\w+(\.\w+)+", name) and name.partition(".")[0] in SECTIONS:
            assert name in FIELDS or name.endswith(FILE_ENDINGS), word


def test_every_page_stands_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"]({path.name})" in index, f"{path.name} is not in docs/README.md"


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_told_of_in_the_readme(name: str) -> None:
    assert f"`{name}`" in (ROOT / "README.md").read_text()


def test_the_readme_s_table_of_methods_is_that_of_the_program() -> None:
    rows = [
        f"| `{method.name}` | {method.taught_by}{f' ({method.source})' if method.source else ''} |"
        for method in METHODS.values()
    ]
    assert "\n".join(["| --- | --- |", *rows]) in (ROOT / "README.md").read_text()


def test_the_reference_of_fields_is_what_the_schema_says() -> None:
    assert (ROOT / "docs" / "recipe.md").read_text() == page(), f"docs/recipe.md is out of date; run: {COMMAND}"
