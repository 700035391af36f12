"""Pages of the documentation, split into blocks of code.

A fenced block has the kind that its fence names (``sh``, ``python``, ``yaml``; ``text`` and ``json`` are what something
printed). Where none is named, and in an indented block, the first words tell commands from Python, from YAML and from a
list of files. A Python or YAML block whose first line is a comment with a file's name, ``# my_data.py``, is that file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE_NAME = re.compile(r"# ([\w-]+\.(?:py|yaml))\n")
COMMANDS = re.compile(r"(python|make|ray|pip|tensorboard|cat|kubectl|aws|\w+=\$\()\b")
OTHER_NAMES = {"bash": "sh", "shell": "sh", "console": "text", "yml": "yaml", "py": "python", "json": "text"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code: its page, its first line there, its kind, and its text."""

    page: str
    line: int
    kind: str
    text: str

    @property
    def file(self) -> str | None:
        """The name of the file that the block is, if it says so."""
        named = FILE_NAME.match(self.text)
        return named[1] if named else None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}:{self.kind}{f':{self.file}' if self.file else ''}"


def pages() -> list[Path]:
    """README.md and every page below docs/, in the order of the index, which is first; what it lacks comes last."""
    index = ROOT / "docs" / "README.md"
    listed = [
        index.parent / name for name in re.findall(r"^- \[.*?\]\(([\w-]+\.md)\)", index.read_text(), re.MULTILINE)
    ]
    others = sorted(set(index.parent.glob("*.md")) - {index, *listed})
    return [index, ROOT / "README.md", *listed, *others]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    text, name = page.read_text(), str(page.relative_to(ROOT))
    found = [
        Block(name, _line(text, each.start(2)), OTHER_NAMES.get(each[1], each[1]) or _kind(each[2]), each[2])
        for each in FENCE.finditer(text)
    ]
    without = FENCE.sub(lambda each: re.sub(r"[^\n]", "", each[0]), text)
    # Indented by four spaces after an empty line, and not inside a list.
    for each in re.finditer(r"(?<=\n\n)((?: {4}.*\n|\n(?= {4}))+)", without):
        code = re.sub(r"^ {4}", "", each[1], flags=re.MULTILINE)
        found.append(Block(name, _line(text, each.start()), _kind(code), code))
    yield from sorted(found, key=lambda block: block.line)


def commands(block: Block) -> list[str]:
    """The commands of a ``sh`` block, with continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", block.text)
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def _kind(code: str) -> str:
    if COMMANDS.match(code):
        return "sh"
    if re.match(r"(import|from) \w", code):
        return "python"
    return "yaml" if re.match(r"\w+:( |\n)", code) else "files"


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
