"""Strict YAML reader for recipes and overrides, which returns plain values and their line numbers.

Scalars are those of YAML 1.2's core schema; yes, no, on and off are booleans as well. Values that differ between
versions of YAML are refused: ``010`` (8 or 10), ``1:30`` (90 or text), ``1_000``, ``0b11`` and dates. So are duplicate
fields, tags, control characters, and files far larger or deeper than any recipe.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from orchestrator.errors import UserError

LARGEST, DEEPEST, MOST_VALUES = 1 << 18, 50, 10_000  # bytes, levels, values with those that anchors repeat
LONGEST_NUMBER = 400  # characters; Python reads no whole number of thousands of digits

Path = tuple[str | int, ...]

_TEXT, _MERGE, _UNCLEAR = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge", "!unclear"
_COLLECTIONS: dict[type[Node], str] = {MappingNode: "tag:yaml.org,2002:map", SequenceNode: "tag:yaml.org,2002:seq"}
_PLAIN: tuple[tuple[str, re.Pattern[str], Callable[[str], Any]], ...] = (
    ("tag:yaml.org,2002:null", re.compile(r"|~|null|Null|NULL"), lambda text: None),
    (
        "tag:yaml.org,2002:bool",
        re.compile(r"true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF"),
        lambda text: text.lower() in ("true", "yes", "on"),
    ),
    ("tag:yaml.org,2002:int", re.compile(r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+"), lambda text: int(text, 0)),
    (
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
        lambda text: float(re.sub(r"\.(?=[iInN])", "", text)),
    ),
    (_MERGE, re.compile("<<"), str),
)
_UNCLEAR_WORDS = (
    (re.compile(r"[-+]?0[0-9_]+"), "octal in some versions of YAML and decimal in others; leave out the first 0"),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"),
        "a number to the base of 60 in some versions of YAML and text in others; give a plain number",
    ),
    (
        re.compile(r"[-+]?([0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?|[0-9]+\.[0-9]*_[0-9_]*)"),
        "a number in some versions of YAML and text in others; leave out the '_'",
    ),
    (re.compile(r"[-+]?0b[01_]+"), "binary in some versions of YAML and text in others; give a decimal number"),
    (
        re.compile(r"[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?(([Tt]|[ \t]+)[0-9][0-9]?:[0-9][0-9].*)?"),
        "a date in some versions of YAML and text in others",
    ),
)


class YamlError(UserError):
    """Raised for a text that can't be read; the message has the place, what was found and what to do."""


@dataclass(frozen=True)
class Place:
    """Position of a value: its line, counted from 1, where messages name lines, and a scalar's source text."""

    line: int | None
    text: str | None = None


@dataclass
class Document:
    """The values of one document, and the place of each by its path of keys and positions."""

    content: Any = None
    places: dict[Path, Place] = field(default_factory=dict)


def read(text: str | bytes, path: Path | None = None) -> Document:
    """Returns a document's values; bytes are UTF-8, or UTF-16 with a byte order mark.

    Args:
        text: the document.
        path: the field whose value the text is; messages then name it, without lines.

    Raises:
        YamlError: naming the field and its line.
    """
    if len(text) > LARGEST:
        raise YamlError(f"more than {LARGEST // 1024} KiB, so it is no recipe; check that this is the file you mean")
    before = f"{dotted(path)}: " if path else ""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark and path is None else ""
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise YamlError(f"{before}not valid YAML{where}: {problem}") from error
    except yaml.reader.ReaderError as error:
        raise YamlError(f"{before}not valid YAML: {' '.join(str(error).split())}; save it as UTF-8 text") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # also plain ones, for "\UFFFFFFFF"
        raise YamlError(f"{before}not valid YAML: {' '.join(str(error).split())}") from error
    document = Document()
    if node is not None:
        document.content = _Builder(document.places, lines=path is None).value(node, path or ())
    return document


def dotted(path: Path) -> str:
    """Returns ``("ladder", "networks", 1, "steps")`` as ``ladder.networks[1].steps``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


class _Loader(yaml.SafeLoader):
    """Composer with the scalars above and a bounded depth, since PyYAML's composer is recursive."""

    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        if self.depth > DEEPEST:
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem=f"nested more than {DEEPEST} levels deep", problem_mark=mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def resolve(self, kind: type[Node], value: str | None, implicit: Any) -> str:
        if kind is not ScalarNode:
            return _COLLECTIONS[kind]
        if not implicit[0] or value is None:  # in quotes
            return _TEXT
        if any(pattern.fullmatch(value) for pattern, _ in _UNCLEAR_WORDS):
            return _UNCLEAR
        return next((tag for tag, pattern, _ in _PLAIN if pattern.fullmatch(value)), _TEXT)


class _Builder:
    """Converter of nodes to values. An anchor's value is built anew wherever it is used."""

    def __init__(self, places: dict[Path, Place], lines: bool) -> None:
        self.places = places
        self.lines = lines
        self.values = 0

    def value(self, node: Node, path: Path, line: int | None = None) -> Any:
        """Returns the value of a node; ``line`` is that of the field's name, where it has one."""
        self.values += 1
        if self.values > MOST_VALUES:
            raise YamlError(f"more than {MOST_VALUES:,} values, those that anchors repeat included; write fewer")
        if len(path) > DEEPEST:
            raise self.refusal(
                node, path[:3], f"nested more than {DEEPEST} levels deep, or an anchor that holds itself"
            )
        if isinstance(node, MappingNode) and node.tag == _COLLECTIONS[MappingNode]:
            found: Any = self.mapping(node, path)
        elif isinstance(node, SequenceNode) and node.tag == _COLLECTIONS[SequenceNode]:
            found = [self.value(item, (*path, position)) for position, item in enumerate(node.value)]
        else:
            found = self.scalar(node, path)
        written = node.value if isinstance(node, ScalarNode) else None
        self.places[path] = Place((line or node.start_mark.line + 1) if self.lines else None, written)
        return found

    def mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise self.refusal(key, path, "a field's name is a list or mapping; give a text")
            name, line = self.text(key, path), key.start_mark.line + 1
            if name in lines:
                raise YamlError(f"{dotted((*path, name))} is set twice{self.both(lines[name], line)}; keep one of them")
            lines[name] = line
            if key.tag == _MERGE:
                for part in reversed(value.value if isinstance(value, SequenceNode) else [value]):
                    if not isinstance(part, MappingNode):
                        raise self.refusal(part, path, "'<<' takes the fields of a mapping; give one, or leave it out")
                    merged |= self.value(part, (*path, name))
            else:
                found[name] = self.value(value, (*path, name), line)
        return merged | found

    def scalar(self, node: Node, path: Path) -> Any:
        if node.tag == _UNCLEAR:
            why = next(why for pattern, why in _UNCLEAR_WORDS if pattern.fullmatch(node.value))
            found = f"found {node.value}, which is {why}"
            raise self.refusal(node, path, f"{found}; where text is meant, put it in quotes: '{node.value}'")
        if node.tag in (_TEXT, _MERGE) and isinstance(node, ScalarNode):
            return self.text(node, path)
        for tag, pattern, construct in _PLAIN:
            if node.tag == tag and isinstance(node, ScalarNode) and pattern.fullmatch(node.value):
                value = construct(node.value) if len(node.value) <= LONGEST_NUMBER else math.inf
                if tag.endswith(":int") and not -(2**63) <= value < 2**63:
                    raise self.refusal(node, path, "found a whole number that 64 bits do not hold; give a smaller one")
                return value
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        raise self.refusal(node, path, f"found the tag {tag!r}, which can't be read here; leave it out")

    def text(self, node: ScalarNode, path: Path) -> str:
        for character in node.value:
            if unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t":
                raise self.refusal(node, path, f"found the character {character!r}; leave it out")
        return str(node.value)

    def refusal(self, node: Node, path: Path, problem: str) -> YamlError:
        where = f" (line {node.start_mark.line + 1})" if self.lines else ""
        return YamlError(f"{dotted(path)}{where}: {problem}" if path else f"{problem}{where}")

    def both(self, first: int, second: int) -> str:
        if not self.lines:
            return ""
        return f" in line {first}" if first == second else f", in lines {first} and {second}"
