"""Sources of a recipe: files, overrides on the command line, and the help on every field."""

from __future__ import annotations

import os
import threading
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator.recipe.loading import find, load, split
from orchestrator.recipe.reference import SHORTHANDS, fields
from orchestrator.recipe.schema import Recipe, RecipeError
from orchestrator.recipe.yaml_reading import dotted
from orchestrator.run import main
from tests.examples import TINY, refusal, tiny

# -- overrides ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "read", "value"),
    [
        ("training.steps=7", lambda recipe: recipe.training.steps, 7),
        ("training.optimizer.learning_rate=1e-3", lambda recipe: recipe.training.optimizer.learning_rate, 0.001),
        ("training.optimizer.learning_rate=1", lambda recipe: recipe.training.optimizer.learning_rate, 1.0),
        ("difficulty.balanced=true", lambda recipe: recipe.difficulty.balanced, True),
        ("seeds=[3, 1]", lambda recipe: recipe.seeds, (3, 1)),
        ("search.steps=null", lambda recipe: recipe.search.steps, None),
        ("search.space.a=0.5", lambda recipe: (recipe.search.space.a.low, recipe.search.space.a.high), (0.5, 0.5)),
        ("search.space.a=[0.2, 1]", lambda recipe: (recipe.search.space.a.low, recipe.search.space.a.high), (0.2, 1)),
        ("ladder.networks=[a, {name: b, steps: 9}]", lambda recipe: recipe.ladder.networks[1].steps, 9),
        ("dataset={name: mnist5k}", lambda recipe: recipe.dataset.name, "mnist5k"),
        ("dataset.root=a=b", lambda recipe: recipe.dataset.root, "a=b"),
    ],
)
def test_an_override_is_yaml_at_a_dotted_name(override: str, read: typing.Callable[[Recipe], Any], value: Any) -> None:
    assert read(tiny(override)) == value


def test_an_override_makes_the_sections_on_its_way() -> None:
    assert tiny("resources.cpus=2").resources.cpus == 2  # the file has no resources


def test_the_last_of_two_overrides_holds() -> None:
    assert tiny("training.steps=5", "training.steps=6").training.steps == 6


@pytest.mark.parametrize(
    ("override", "index", "name", "steps"),
    [
        ("ladder.networks[0].steps=9", 0, "plain_cnn_8", 9),  # a bare name in the file
        ("ladder.networks[3].steps=9", 3, "plain_cnn_2", 9),
        ("ladder.networks[1]=plain_cnn_7", 1, "plain_cnn_7", None),
        ("ladder.networks[1]={name: plain_cnn_7, steps: 9}", 1, "plain_cnn_7", 9),
        ("ladder.networks[1].name=plain_cnn_7", 1, "plain_cnn_7", None),
    ],
)
def test_an_override_reaches_into_a_list(override: str, index: int, name: str, steps: int | None) -> None:
    networks = tiny(override).ladder.networks
    assert (networks[index].name, networks[index].steps) == (name, steps)
    assert [network for place, network in enumerate(networks) if place != index] == [
        network for place, network in enumerate(tiny().ladder.networks) if place != index
    ]


def test_an_entry_of_a_list_of_values_is_set_alone() -> None:
    assert tiny("seeds[1]=7").seeds == (0, 7)
    assert tiny("search.space.a=[0.1, 1]", "search.space.a[0]=0.5").search.space.a.low == 0.5


@pytest.mark.parametrize(
    ("override", "remedy"),
    [
        ("name.first=x", "name.first: 'name' holds 'tiny', which has no fields; set 'name' as a whole"),
        (
            "ladder.networks.steps=3",
            "'ladder.networks' is a list, which has no fields; set 'ladder.networks' as a whole",
        ),
        ("ladder.networks.0.steps=3", "or ladder.networks[0]"),
        ("seeds.0=1", "or seeds[0]"),
        ("ladder.networks[4].steps=3", "entries ladder.networks[0] to ladder.networks[3]; set one of these, or"),
        ("ladder.networks[-1].steps=3", "'ladder.networks[-1].steps=3' is neither a recipe nor field=value"),
        ("training[0]=3", "training is not a list, so it has no entry [0]"),
        ("resources.cpus[0]=3", "resources.cpus is not set; set it as a whole: resources.cpus=[...]"),
        ("methods[0].steps=3", "'methods[0]' holds 'labels', which has no fields"),
        ("storage=/mnt/runs", "storage: is an option, not a field of the recipe; write --storage"),
        ("steps=3", "unknown field; did you mean ladder.networks[0].steps or training.steps or search.steps?"),
        ("x[=3", "neither a recipe nor field=value"),
    ],
)
def test_an_override_that_can_not_be_set_is_refused_with_the_fields_that_can(override: str, remedy: str) -> None:
    message = refusal(override)
    assert remedy in message
    assert "\n" not in message


@pytest.mark.parametrize("override", ["=3", ".=3", "training.=3", "training..steps=3"])
def test_an_override_without_a_field_is_refused(override: str) -> None:
    assert refusal(override).startswith(f"'{override}' is neither a recipe nor field=value")


def test_an_override_that_is_not_yaml_is_refused_in_one_line() -> None:
    message = refusal("seeds=[1, 2")
    assert message.startswith("seeds: not valid YAML: ")
    assert "\n" not in message


# -- files -------------------------------------------------------------------------------------------------------


def test_an_unknown_recipe_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RecipeError, match=r"recipe 'mnist5' is not known; did you mean 'mnist5k'\?; known: .*mnist5k"):
        find("mnist5")


@pytest.mark.parametrize("place", ["lr=0.1/recipe.yaml", "recipe", "a=b"])
def test_a_word_that_is_an_existing_file_is_a_recipe(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(place).parent.mkdir(exist_ok=True)
    Path(place).write_text(Path(TINY).read_text())
    assert split([place, "seeds=[0]"]) == (place, ["seeds=[0]"])
    assert load(place) == tiny()


def test_a_word_that_only_ends_like_a_recipe_is_a_missing_recipe() -> None:
    assert split(["lr=0.1/gone.yaml", "dataset.root=a.yaml"]) == ("lr=0.1/gone.yaml", ["dataset.root=a.yaml"])


def test_a_recipe_comes_out_of_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(Path(TINY).read_bytes(),))
    writer.start()
    try:
        assert load(str(pipe)) == tiny()
    finally:
        writer.join()


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("", "recipe: found '', which is empty"),
        (str(Path(TINY).parent), "is a folder; give the file in it"),
        ("~no-such-user/recipe.yaml", "no such user's home folder is known"),
        ("s3://bucket/recipe.yaml", "a URI; give a path on a file system that is mounted here"),
        ("a" * 300 + ".yaml", "with a name of more than 255 bytes"),
        ("/dev/zero", "more than 256 KiB, so it is no recipe"),
    ],
)
def test_a_path_that_is_not_a_recipe_file_is_refused(source: str, complaint: str) -> None:
    assert complaint in refusal(source=source)


@pytest.mark.parametrize("source", ["gone.yaml", "folder/gone.yml", "folder/gone"])
def test_a_recipe_file_that_is_not_there_is_named(source: str) -> None:
    with pytest.raises(RecipeError, match=f"recipe file {source} does not exist"):
        load(source)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"name: [", "not valid YAML"),
        (b"\xff\xfe\x00", "not valid YAML"),
        (b"name: !!python/object/apply:os.getcwd []", "name (line 1): found the tag '!!python/object/apply:os.getcwd'"),
        (b"- a\n- b", "holds a list, not a mapping of fields"),
        (b"text", "holds a str, not a mapping of fields"),
        (b"", "holds nothing, not a mapping of fields"),
        (b"1: 2", "1 (line 1): unknown field"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(content: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError) as refused:
        load(str(path))
    assert complaint in str(refused.value)


# -- what the help shows -----------------------------------------------------------------------------------------


def leaves(model: type[BaseModel]) -> Iterator[str]:
    """Names of all fields of a model and of the models in it, found without ``fields``."""
    for name, info in model.model_fields.items():
        yield name
        for inner in (info.annotation, *typing.get_args(info.annotation)):
            if isinstance(inner, type) and issubclass(inner, BaseModel) and inner.__name__ not in SHORTHANDS:
                yield from leaves(inner)


def test_fields_yields_every_field_with_type_default_and_description() -> None:
    found = list(fields())
    assert sorted(field.name.rpartition(".")[2] for field in found) == sorted(leaves(Recipe))
    assert len({field.name for field in found}) == len(found)
    for field in found:
        assert field.text.strip(), field.name
        assert field.kind in ("section", "list") or (field.type and field.default), field.name
        assert "<class" not in field.summary and "Annotated" not in field.summary and "\n" not in field.summary, field


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("training", "section"),
        ("ladder.networks", "list"),
        ("training.steps", "whole number; above 0; required"),
        ("training.optimizer.momentum", "number; [0, 1); default 0.9"),
        ("training.optimizer.milestones", "list of number; [0, 1]; default [0.5, 0.75]"),
        ("seeds", "list of whole number; [0, 2^63), 1 to 256 entries; default [0, 1, 2]"),
        ("dataset.image_size", "whole number or nothing; 8 or more; default null"),
        ("search.space.kd_weight", "number or [low, high]; default [0.05, 1.0]"),
        ("resources.workers", "whole number or [fewest, most]; default 1"),
    ],
)
def test_a_field_is_described_with_type_bounds_and_default(name: str, summary: str) -> None:
    assert next(field for field in fields() if field.name == name).summary == summary


def test_user_defined_names_are_offered_where_they_are_allowed() -> None:
    offered = {field.name for field in fields() if field.type.endswith("module:callable")}
    assert offered == {"difficulty.scorer", "curriculum.pacing.family", "search.space.families"}


def test_the_help_prints_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    shown = capsys.readouterr().out
    for field in fields():
        assert f"  {field.name}  ({field.summary})" in shown
        assert field.text.split()[-1] in shown
    assert "--storage" in shown and "--dry-run" in shown


@pytest.mark.parametrize(
    ("place", "name"), [((), ""), (("a",), "a"), (("a", 1, "b"), "a[1].b"), (("a", 0, 2), "a[0][2]")]
)
def test_a_place_in_a_recipe_is_written_with_dots_and_brackets(place: tuple[int | str, ...], name: str) -> None:
    assert dotted(place) == name
