"""Jinja2 environments: HTML with everything escaped that comes from outside, and Markdown as it stands.

Templates lie in the folder ``templates`` beside the code that fills them. Jinja2 is imported only when one is filled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

from orchestrator.report import words

_WORDS = (
    words.counted, words.curriculum, words.decimals, words.described_loss, words.duration, words.hundredths,
    words.interval, words.labels_weight, words.listed, words.number, words.outcome, words.p_value, words.percent,
    words.points, words.reach, words.seed_values, words.seeds_needed, words.settings, words.stratum_name,
    words.taught_loss, words.verdict,
)  # fmt: skip


def fill(package: str, name: str, /, **values: Any) -> str:
    """Returns a template of a package's folder ``templates``, filled; escaped if its name ends in ``.html``.

    The functions of ``words.py`` in ``_WORDS`` are filters. A value that is not there raises jinja2.UndefinedError.
    """
    return _environment(package, name.endswith(".html")).get_template(name).render(values)


@cache
def _environment(package: str, html: bool) -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package), autoescape=html, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters |= {word.__name__: word for word in _WORDS}
    environment.filters |= {"inline": _inline, "aligned": _aligned}
    return environment


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table whose columns also line up as plain text."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(header), 3, *(len(row[i]) for row in cells)) for i, header in enumerate(headers)]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"  # noqa: E731
    return "\n".join([line(headers), line(["-" * width for width in widths]), *map(line, cells)])


def _aligned(text: str) -> str:
    """Lines of cells with `` | `` between, the headers first, as a Markdown table."""
    headers, *rows = [[cell.strip() for cell in f"{line} ".split(" | ")] for line in text.strip().splitlines()]
    return table(headers, rows) + "\n"


def _inline(text: str) -> Any:
    """Running text as HTML: escaped, with text between backquotes as code and between double asterisks strong."""
    from markupsafe import Markup

    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe))
