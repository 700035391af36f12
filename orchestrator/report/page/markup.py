"""HTML in small pieces. Everything that comes from outside is escaped here; ``Html`` marks what already is markup."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any


class Html(str):
    """Text that is markup already."""


def escaped(value: Any) -> Html:
    """A value as text of a page; markup stays what it is."""
    return value if isinstance(value, Html) else Html(html.escape(str(value), quote=True))


def tag(name: str, /, *children: Any, **attributes: Any) -> Html:
    """``<name attribute="...">children</name>``. An attribute of None is left out; ``class_`` is ``class``."""
    return Html(f"<{name}{_written(attributes)}>{''.join(escaped(child) for child in children)}</{name}>")


def single(name: str, /, **attributes: Any) -> Html:
    """An element without content, such as ``<img ...>``."""
    return Html(f"<{name}{_written(attributes)}>")


def _written(attributes: dict[str, Any]) -> str:
    parts = []
    for key, value in attributes.items():
        if value is not None and value is not False:
            name = key.rstrip("_").replace("_", "-")
            parts.append(f" {name}" if value is True else f' {name}="{escaped(str(value))}"')
    return "".join(parts)


def join(parts: Iterable[Any]) -> Html:
    """Pieces one after the other."""
    return Html("".join(escaped(part) for part in parts))


def words(text: str) -> Html:
    """Running text: escaped, with what stands between backquotes as code and between double asterisks strong."""
    safe = html.escape(text, quote=True)
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", safe)
    return Html(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe))


def paragraph(text: str) -> Html:
    """A paragraph of ``words``."""
    return tag("p", words(text))


def table(
    headers: Sequence[Any],
    rows: Iterable[Sequence[Any]],
    caption: str,
    text_columns: Sequence[int] = (0,),
    long: bool = False,
) -> Html:
    """A table below its caption, in a box of its own that scrolls sideways; a row's first cell is its heading.

    Columns other than ``text_columns`` hold numbers and stand to the right. ``long``: cells break into lines.
    """
    side = lambda place: None if place in text_columns else "number"  # noqa: E731
    head = tag("tr", *(tag("th", header, scope="col", class_=side(place)) for place, header in enumerate(headers)))
    body = [
        tag(
            "tr",
            *(
                tag("th", cell, scope="row") if place == 0 else tag("td", cell, class_=side(place))
                for place, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    content = tag("table", tag("thead", head), tag("tbody", *body), aria_label=caption, class_="long" if long else None)
    box = tag("div", content, class_="scroll", tabindex="0", role="region", aria_label=caption)
    # Not a <caption>: that would scroll with the table and be no wider than it.
    return tag("div", tag("p", words(caption), class_="caption"), box)


def picture(figure: dict[str, Any] | None, caption: str, wide: bool = False) -> Html:
    """A figure with what is to be seen in it; nothing where there is no figure.

    ``wide``: it keeps a width of its own on a small screen, in a box that scrolls.
    """
    if figure is None:
        return Html("")
    content = Html(json.dumps(figure, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))
    height = f"height:{figure['layout']['height']}px"
    plot = tag("div", class_="plot", role="img", aria_label=caption.replace("`", "").replace("**", ""), style=height)
    box = tag("div", plot, class_="scroll wide", tabindex="0") if wide else plot
    script = Html(f'<script type="application/json">{content}</script>')
    return tag("figure", box, script, tag("figcaption", words(caption)), class_="chart")


def folded(summary: str, *children: Any, key: str) -> Html:
    """What is shown when it is asked for; ``key`` names it, so that it stays open when the page is loaded again."""
    return tag("details", tag("summary", summary), *children, id=key)


def copied(text: str, what: str) -> Html:
    """Text to be typed, with a button that copies it."""
    button = tag("button", "Copy", type="button", class_="copy", aria_label=f"Copy {what}")
    return tag("div", tag("pre", tag("code", text), tabindex="0", aria_label=what), button, class_="typed")
