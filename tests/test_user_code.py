"""Callables of a person's own: part of a stage's identity, tried before anything trains, refused in one line."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from orchestrator import user_code
from orchestrator.datasets import describe
from orchestrator.execution.user_code_checks import check_user_curriculum
from orchestrator.recipe.schema import RecipeError
from tests.examples import identities, planned, tiny

MODULE = "tests.execution.user_curricula"
CODE = "def {name}(*_):\n    return 1\n"


@pytest.fixture
def my_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module ``my_code`` with the callables ``one`` and ``other``, in a folder that a run could be started from."""
    file = tmp_path / "my_code.py"
    file.write_text(CODE.format(name="one") + CODE.format(name="other"))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return file


def changed_by_an_edit(file: Path, *overrides: str) -> set[str]:
    """Names of the stages whose identity another line in the file changes."""
    before = identities(planned(*overrides))
    file.write_text(f"{file.read_text()}\n# another line\n")
    after = identities(planned(*overrides))
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


# -- identity ----------------------------------------------------------------------------------------------------


def test_an_edited_pacing_family_makes_again_the_search_and_what_follows_it_alone(my_code: Path) -> None:
    changed = changed_by_an_edit(my_code, "search.space.families=[linear, my_code:one]")
    assert {"search", "student/ces_kd/seed-0", "evaluate/ces_kd/seed-0"} <= changed
    assert all(name.startswith(("search", "student/ces_", "evaluate/ces_")) for name in changed)


def test_an_edited_pacing_family_that_nothing_uses_changes_nothing(my_code: Path) -> None:
    assert not changed_by_an_edit(my_code, "search.trials=0", "search.space.families=[my_code:one]")


def test_an_edited_difficulty_makes_again_the_score_and_what_follows_it_and_no_network_of_the_ladder(
    my_code: Path,
) -> None:
    changed = changed_by_an_edit(my_code, "difficulty.scorer=my_code:one")
    assert {"score", "search", "student/ces_kd/seed-0"} <= changed
    assert not any(name.startswith(("ingest", "train/", "fold/", "student/labels")) for name in changed)


def test_an_edited_network_makes_again_itself_and_what_it_teaches(my_code: Path) -> None:
    changed = changed_by_an_edit(
        my_code, "ladder.networks=[plain_cnn_8, my_code:one, plain_cnn_2]", "methods=[kd, takd]"
    )
    assert {"train/my_code:one", "student/takd/seed-0"} <= changed
    assert not changed & {"ingest", "train/plain_cnn_8"}


def test_what_comes_with_the_program_has_no_code_in_its_spec() -> None:
    for stage in planned().stages:
        assert "'code'" not in str(stage.spec.model_dump(mode="json")), stage.name


def test_a_trial_does_not_depend_on_the_families_that_it_does_not_use(my_code: Path) -> None:
    from orchestrator.pipeline.specs import SearchSpec, apply_choice

    spec = planned("search.space.families=[linear, my_code:one, my_code:other]").searches["ces_kd"].spec
    assert isinstance(spec, SearchSpec)
    for family, used in (("linear", set()), ("my_code:one", {"my_code:one"})):
        curriculum = apply_choice(spec.student, {"family": family, "a": 0.5, "b": 0.5}).curriculum
        assert curriculum is not None and set(curriculum.code) == used


# -- what is tried before anything trains --------------------------------------------------------------------------


def check(*overrides: str) -> None:
    recipe = tiny(*overrides)
    check_user_curriculum(recipe, describe(recipe.dataset))


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        (f"curriculum.pacing.family={MODULE}:cosine",),
        (f"search.space.families=[exp, {MODULE}:cosine]",),
        (f"difficulty.scorer={MODULE}:spread",),
        (f"difficulty.scorer={MODULE}:by_number",),
        (f"difficulty.scorer={MODULE}:of_folds",),
    ],
)
def test_what_a_curriculum_can_use_passes(overrides: tuple[str, ...]) -> None:
    check(*overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            [f"curriculum.pacing.family={MODULE}:falling", "curriculum.pacing.a=1"],
            rf"curriculum\.pacing\.family: {MODULE}:falling failed with a=1, b=0\.3: .* it falls from 1 to 0\.999",
        ),
        (
            [f"search.space.families=[exp, {MODULE}:falling]"],
            rf"search\.space\.families: {MODULE}:falling failed with a=0\.1, b=0\.1: .* it falls",
        ),
        ([f"curriculum.pacing.family={MODULE}:without_b"], "failed with a=0.5, b=0.3: TypeError: without_b.. takes 2"),
        ([f"curriculum.pacing.family={MODULE}:gone"], rf"{MODULE}:gone: module '{MODULE}' has no callable 'gone'"),
        (["curriculum.pacing.family=nowhere:late"], "nowhere:late: there is no module 'nowhere'; install it, or run"),
        (
            [f"difficulty.scorer={MODULE}:too_few"],
            rf"difficulty\.scorer: {MODULE}:too_few failed on random logits \(3 experts, 40 images, 4 cl",
        ),
        ([f"difficulty.scorer={MODULE}:constant"], r"difficulty\.scorer: .* returned 0 for each of 40 images"),
        (
            [f"difficulty.scorer={MODULE}:of_folds", "difficulty.held_out_folds=0"],
            r"without fold_logits\): AssertionError: needs folds",
        ),
    ],
)
def test_what_a_curriculum_cannot_use_is_refused_in_one_line_with_its_field(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refused:
        check(*overrides)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("late", "not of the form module:callable"),
        ("my_code:gone", "has no callable 'gone'"),
        ("my_code:__doc__", "has no callable '__doc__'"),
        ("broken:one", "its module can't be imported: SyntaxError"),
        ("needs:one", "there is no module 'not_installed'"),
        ("sys:exit", "module 'sys' has no file"),
    ],
)
def test_a_path_that_leads_nowhere_says_why(name: str, message: str, my_code: Path) -> None:
    (my_code.parent / "broken.py").write_text("def one(:\n")
    (my_code.parent / "needs.py").write_text("import not_installed\n")
    with pytest.raises(user_code.UserCodeError, match=message):
        user_code.load(name)
