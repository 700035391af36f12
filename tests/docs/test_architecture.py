"""The rooms in ``docs/architecture.md`` and ``CONTRIBUTING.md``: those that exist, in the order of the import rules."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT

BESIDE = ("models", "curricula")  # packages of their own, below all rooms of the orchestrator


def layers() -> dict[str, int]:
    """Returns the position of each room in the list of layers in pyproject.toml, 0 at the top."""
    listed = re.search(r"^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert listed
    rows = re.findall(r'"(.+?)"', listed[1])
    order = {name.strip(): number for number, row in enumerate(rows) for name in row.split("|")}
    return order | dict.fromkeys(BESIDE, len(rows))


def rooms(page: str) -> list[str]:
    """Returns the rooms that a page lists, in its order."""
    text = (ROOT / page).read_text()
    section = text[text.index("## The rooms") :].split("\n## ")[0]
    return re.findall(r"^(?:\| `|    )(?:orchestrator/)?(?!orchestrator/)(\w+)/", section, re.MULTILINE)


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_the_rooms_that_a_page_lists_are_the_folders_that_exist(page: str) -> None:
    folders = {path.parent.name for path in (ROOT / "orchestrator").glob("*/__init__.py")}
    assert sorted(rooms(page)) == sorted(folders | {*BESIDE})


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_the_rooms_stand_in_the_order_of_the_import_rules(page: str) -> None:
    order = layers()
    found = [order[room] for room in rooms(page)]
    assert found == sorted(found)
