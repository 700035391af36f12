"""Examples of the documentation: run where that takes seconds, else planned or checked as far as one machine can.

``pytest -vv tests/docs`` lists every block with its page, line, kind and test.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import pytest

from orchestrator import run
from orchestrator.recipe import loading as recipes
from orchestrator.recipe import yaml_reading
from orchestrator.recipe.schema import Recipe, RecipeError
from tests.docs.conftest import PROGRAM, Workplace, words_of
from tests.docs.pages import ROOT, Block, blocks, commands, pages

pytestmark = pytest.mark.long

# Pages whose examples are tried where what they tell of is tested.
TRIED_ELSEWHERE = {"docs/export.md": "tests/export", "docs/tensorboard.md": "tests/tracking"}

FEW_STEPS = 50  # where no network trains for more, a command is run for real; else it plans and checks

# Commands that can't be run by a test, by what is found in them, and why.
NOT_RUN = {
    r"^ray |^RAY_AUTH_MODE=token ": "needs a cluster, on AWS or of several machines",
    r"^kubectl ": "needs a Kubernetes cluster",
    r"^docker ": "builds an image of several GB for a registry",
    r"^aws ": "needs an AWS account",
    r"://BUCKET": "needs a bucket",
    r"^pip install ": "would change the environment that the tests run in",
    r"^tensorboard |^mlflow | --serve\b": "serves until it is stopped",
    r" (RECIPE|RUN|URI)\b": "shows the form of a command",
}

# What stands for something that only a run can tell, and what it is in the run that docs/README.md shows.
PLACEHOLDERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "<artifact>": lambda report: report["methods"][0]["artifact"],
    "<run>": lambda report: report["run"]["id"],
}


def how(block: Block) -> str:
    """Returns the test of a block: ``schema``, ``execute``, ``exist``, or those of its commands."""
    if block.kind != "sh":
        return {"yaml": "schema", "python": "execute", "files": "exist"}.get(block.kind, "unknown")
    return "+".join(dict.fromkeys(map(way, commands(block))))


def why_not(command: str) -> str | None:
    """Returns the reason for which no test can run a command, None where one can."""
    return next((reason for pattern, reason in NOT_RUN.items() if re.search(pattern, command)), None)


def way(command: str) -> str:
    """Returns the test of a command: ``not-run``, ``make``, ``run``, ``dry-run`` or ``shell``."""
    if why_not(command):
        return "not-run"
    if command.startswith("make "):
        return "make"
    if not command.startswith(f"{PROGRAM} "):
        return "shell"
    if "--dry-run" in command:
        return "dry-run"
    try:
        return "run" if _steps(command) <= FEW_STEPS else "dry-run"
    except RecipeError:
        return "dry-run"  # which says what is wrong


def _steps(command: str) -> int:
    """The most steps that a network, or a trial, trains for in the recipe that a command names."""
    source, overrides = recipes.split(run._parser().parse_intermixed_args(words_of(command)).recipe)
    shown = {block.file: block for block in BLOCKS if block.file}
    if source in shown:
        recipe = Recipe.model_validate(yaml_reading.read(shown[source].text).content)
    else:
        recipe = recipes.load(source, overrides)
    own = [network.steps or recipe.training.steps for network in recipe.ladder.networks]
    return max(*own, recipe.search.steps or 0)


BLOCKS = [
    block for page in pages() for block in blocks(page) if block.page not in TRIED_ELSEWHERE and block.kind != "text"
]


@pytest.mark.parametrize(("page", "folder"), TRIED_ELSEWHERE.items())
def test_a_page_whose_examples_run_in_another_test_is_named_there(page: str, folder: str) -> None:
    if not (ROOT / page).exists():
        pytest.skip(f"there is no {page}")
    name = page.removeprefix("docs/")
    assert [file for file in (ROOT / folder).glob("*.py") if name in file.read_text()], f"no test in {folder} names it"


@pytest.mark.parametrize("block", BLOCKS, ids=[f"{block}:{how(block)}" for block in BLOCKS])
def test_an_example_of_the_documentation_runs(block: Block, request: pytest.FixtureRequest) -> None:
    match block.kind:
        case "sh":
            _execute(block, request)
            for command in commands(block):
                _try_command(command, request)
            if how(block) == "not-run":
                pytest.skip("; ".join(dict.fromkeys(filter(None, map(why_not, commands(block))))))
        case "python":
            _execute(block, request)
        case "yaml":
            content = yaml_reading.read(block.text).content
            Recipe.model_validate(content if "name" in content else _completed(content))
        case "files":
            place: Workplace = request.getfixturevalue("finished" if _needs_a_run(block.text) else "place")
            for patterns in _listed(block.text):
                assert [*chain(*(folder.glob(each) for folder in (ROOT, place.folder) for each in patterns))], patterns
        case _:
            pytest.fail(f"there is no way to try a block of kind {block.kind!r}; name one of sh, python, yaml")


def _execute(block: Block, request: pytest.FixtureRequest) -> None:
    """Execute a page's Python up to and with this block, as a reader would have done."""
    for each in BLOCKS:
        if each.kind == "python" and each.page == block.page and each.line <= block.line:
            place: Workplace = request.getfixturevalue("finished" if _needs_a_run(each.text) else "place")
            place.execute(each, _filled(each.text, place))


def _try_command(command: str, request: pytest.FixtureRequest) -> None:
    match way(command):
        case "make":
            target = command.split()[1]
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
        case "dry-run":
            assert request.getfixturevalue("place").dry_run(command) == 0
        case "run":
            request.getfixturevalue("place").run(command, request.getfixturevalue("ray_address"))
        case "shell":
            place = request.getfixturevalue("finished" if _needs_a_run(command) else "place")
            done = place.shell(_filled(command, place))
            assert done.returncode == 0, done.stderr[-3000:]


def _needs_a_run(text: str) -> bool:
    return bool(re.search(r"\bruns\b|orchestrator\.(export|report)", text))


def _filled(text: str, place: Workplace) -> str:
    for placeholder, value in PLACEHOLDERS.items():
        if placeholder in text:
            text = text.replace(placeholder, value(place.report))
    return text


def _completed(part: dict[str, Any]) -> dict[str, Any]:
    """The default recipe with the part in it; a data set is replaced as a whole."""
    whole = recipes.load(None).model_dump(mode="json")
    return whole | {
        section: {**whole[section], **value} if isinstance(value, dict) and section != "dataset" else value
        for section, value in part.items()
    }


def _listed(text: str) -> Iterator[list[str]]:
    """The paths that begin lines, and those after a semicolon, which may lie in the same folder; ``<...>`` is any name.

    For each path, where it may lie.
    """
    for line in text.splitlines():
        folder = ""
        for path in re.findall(r"(?:^|; )([\w./<>-]+[./][\w./<>-]*)(?= )", line):
            pattern = re.sub(r"<\w+>", "*", path).rstrip("/")
            yield [pattern, folder + pattern]
            folder = folder or path.rpartition("/")[0] + "/"
