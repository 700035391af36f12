"""YAML as it is read here: YAML 1.2's numbers, and nothing that versions of YAML read differently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.recipe.loading import load
from orchestrator.recipe.schema import RecipeError
from orchestrator.recipe.yaml_reading import Place, YamlError, read
from tests.examples import TINY, refusal, tiny


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("-0", 0), ("+5", 5), ("0o10", 8), ("0x1F", 31),
        ("1e-3", 0.001), ("1.", 1.0), (".5", 0.5), ("-.inf", float("-inf")), ("010.5", 10.5),
        ("true", True), ("yes", True), ("OFF", False), ("~", None), ("", None),
        ("y", "y"), ("0o8", "0o8"), ("=", "="), ("1.2.3", "1.2.3"), ("0x", "0x"),
        ("'010'", "010"), ('"1:30"', "1:30"), ("'no'", "no"), ("'2024-01-01'", "2024-01-01"),
        ("[1, [2]]", [1, [2]]), ("{a: {b: 1}}", {"a": {"b": 1}}), ("{1: a, no: b}", {"1": "a", "no": "b"}),
        ("[&x {a: 1}, *x]", [{"a": 1}, {"a": 1}]), ("{x: &x {a: 1, b: 2}, y: {<<: *x, b: 3}}",
                                                    {"x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}}),
    ],
)  # fmt: skip
def test_values_are_those_of_yaml_1_2_with_yes_and_no(text: str, value: Any) -> None:
    found = read(text).content
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        "010", "00", "-007", "08", "1:30", "190:20:30", "1:30.5", "1_000", "1_0.5", "0b11", "2024-01-01", "2024-1-1",
        "2001-12-14t21:59:43.10-05:00",
    ],
)  # fmt: skip
def test_what_versions_of_yaml_read_differently_is_refused_with_field_and_line(text: str) -> None:
    with pytest.raises(
        YamlError, match=r"^training\.steps \(line 2\): found .* where text is meant, put it in quotes: '"
    ):
        read(f"training:\n  steps: {text}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "a is set twice, in lines 1 and 3; keep one of them"),
        ("t:\n  - {b: 1, b: 2}", "t[0].b is set twice in line 2; keep one of them"),
        ("a: 1\n'a': 3", "a is set twice, in lines 1 and 2; keep one of them"),
        ("x: &x {a: 1}\ny:\n  <<: *x\n  <<: *x", "y.<< is set twice, in lines 3 and 4; keep one of them"),
        ("? [a, b]\n: 1", "a field's name is a list or mapping; give a text (line 1)"),
        ("a: {<<: 3}", "a (line 1): '<<' takes the fields of a mapping; give one, or leave it out"),
        ("a:\n  b: !!int x", "a.b (line 2): found the tag '!!int', which can't be read here; leave it out"),
        ("a: !x {}", "a (line 1): found the tag '!x', which can't be read here; leave it out"),
        ('a: "\\ud800"', "a (line 1): found the character '\\ud800'; leave it out"),
        ('a: "b\\0"', "a (line 1): found the character '\\x00'; leave it out"),
        ("a: " + "9" * 5000, "a (line 1): found a whole number that 64 bits do not hold; give a smaller one"),
        ("a: 9223372036854775808", "a (line 1): found a whole number that 64 bits do not hold"),
        ("a: &x [*x]", "levels deep, or an anchor that holds itself"),
        ("[" * 5000, "nested more than 50 levels deep"),
        ("a: " + "{b: " * 5000, "nested more than 50 levels deep"),
        ("a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "\n".join(
            f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ), "more than 10,000 values, those that anchors repeat included"),
        ("a: 1\n" * 100_000, "more than 256 KiB, so it is no recipe"),
        ("a: [1,\nb: 2", "not valid YAML in line 2, column 5"),
        ("\ta: 1", "not valid YAML in line 1, column 1"),
        ("a: 1\n---\nb: 2", "not valid YAML in line 2, column 1"),
        ("a: *b", "found undefined alias 'b'"),
        ('a: "\\UFFFFFFFF"', "not valid YAML: "),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(YamlError) as refused:
        read(text)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"\xff", b"\xff\xfe\x00", b"a: \x80", b"PK\x03\x04\x00", b"\x00" * 100])
def test_bytes_that_are_no_text_are_refused(content: bytes) -> None:
    with pytest.raises(YamlError, match="not valid YAML"):
        read(content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_may_be_utf_8_or_utf_16_whatever_the_locale(encoding: str) -> None:
    assert read("name: fünf\n".encode(encoding)).content == {"name": "fünf"}


def test_every_value_has_the_line_of_its_field_and_a_scalar_its_spelling() -> None:
    places = read("a:\n  b: [1.50,\n   no]\n").places
    assert places == {
        (): Place(1),
        ("a",): Place(1),
        ("a", "b"): Place(2),
        ("a", "b", 0): Place(2, "1.50"),
        ("a", "b", 1): Place(3, "no"),
    }


# -- as a recipe's reader meets it -------------------------------------------------------------------------------


def from_file(tmp_path: Path, before: str, after: str) -> str:
    """The message that the small recipe is refused with once ``before`` in it is ``after``."""
    text = Path(TINY).read_text()
    assert before in text
    (tmp_path / "recipe.yaml").write_text(text.replace(before, after))
    with pytest.raises(RecipeError) as refused:
        load(str(tmp_path / "recipe.yaml"))
    return str(refused.value).replace(f"recipe {tmp_path}/recipe.yaml: ", "")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("name: tiny", "name: no", "name (line 2): found no; give text: put it in quotes, 'no'"),
        ("name: tiny", "name: 1e3", "name (line 2): found 1e3; give text: put it in quotes, '1e3'"),
        ("name: tiny", "name: 2024-01-01", "name (line 2): found 2024-01-01, which is a date in some versions of YAML"),
        ("steps: 30", "steps: 030", "training.steps (line 10): found 030, which is octal in some versions of YAML"),
        ("steps: 30", "steps: 1:30", "training.steps (line 10): found 1:30, which is a number to the base of 60"),
        ("seeds:", "training: {steps: 9}\nseeds:", "training is set twice, in lines 9 and 22; keep one of them"),
        ("seeds: [0, 1]", "seeds: [0, no]", "seeds[1] (line 22): found no; give a whole number"),
        ("  steps: 30", "  stpes: 30", "training.stpes (line 10): unknown field; did you mean 'steps'?"),
    ],
)
def test_a_refusal_names_field_and_line(before: str, after: str, message: str, tmp_path: Path) -> None:
    assert message in from_file(tmp_path, before, after)


def test_an_override_is_read_in_the_same_way() -> None:
    assert refusal("training.steps=010").startswith("training.steps: found 010, which is octal in some versions")
    assert refusal("name=no") == "name: found no; give text: put it in quotes, 'no'"
    assert refusal("training={steps: 1, steps: 2}") == "training.steps is set twice; keep one of them"
    assert tiny("training.steps=0o10", "name='no'").training.steps == 8


def test_an_override_of_part_of_a_wrong_section_is_named_without_the_line_of_what_it_replaced() -> None:
    assert refusal("training.steps=x") == "training.steps: found 'x'; give a whole number"
