"""Reference of a recipe's fields, generated from the schema: the output of ``-h``, and ``docs/recipe.md``.

python -m orchestrator.recipe.reference > docs/recipe.md
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from orchestrator.recipe.messages import model_of, plain, type_words
from orchestrator.recipe.schema import Recipe

COMMAND = "python -m orchestrator.recipe.reference > docs/recipe.md"
SHORTHANDS = ("Range", "Workers")  # mappings in the schema, written as a number or a list

INTRODUCTION = f"""# Every field of a recipe

<!-- Made from the schema: {COMMAND} -->

A recipe is a YAML file. This page is generated from the schema that validates it; the option `-h` prints the same.
Unknown fields and values of another type or out of bounds are refused. On the command line a field is set by its
dotted name, `field=value`; a section or list as a whole in YAML's flow style, or one entry of a list by its index:

```sh
python -m orchestrator.run mnist5k training.steps=500 'seeds=[0, 1]' 'ladder.networks[0].steps=700' --dry-run
```

Numbers are those of YAML 1.2. Values that differ between versions of YAML are refused: `010`, `1:30`, `1_000` and dates
need quotes where text is meant, and so do `yes` and `no`. Duplicate fields and tags are errors. In a path, `~` is the
home folder; `weights` are paths on a mounted file system, not URIs, and so is `dataset.root` of most sets.

The smallest recipe; everything else has the defaults below:

```yaml
name: smallest
dataset: {{name: mnist5k}}
ladder:
  networks: [plain_cnn_6, plain_cnn_4, plain_cnn_2]
training:
  steps: 300
```

Bounds in square brackets are included, those in round ones are not. The default `null` leaves a field unset. A field of
the type "number or [low, high]" is one value, or a range to search, within the bounds of the field of that name in
`curriculum.pacing` or `distillation`. `module:callable` stands for a user-defined function ([data](your_data.md),
[network](your_network.md), [difficulty](your_difficulty.md), [pacing](your_pacing.md)). Terms such as expert, guidance
and stratum are defined in [concepts.md](concepts.md); [choices.md](choices.md) has the reasons for the defaults. The
recipes of this project are in [orchestrator/recipes](../orchestrator/recipes).
"""


REQUIRED = "required"


class Described(NamedTuple):
    """Description of a field. ``kind`` is ``section``, ``list`` (of sections) or ``value``; ``about`` a section's."""

    name: str
    kind: str
    type: str
    default: str
    bounds: str
    text: str
    about: str = ""

    @property
    def summary(self) -> str:
        """Type, bounds and default on one line."""
        if self.kind != "value":
            return self.kind
        default = "required" if self.default == REQUIRED else f"default {self.default}"
        return "; ".join(part for part in (self.type, self.bounds, default) if part)


def fields(model: type[BaseModel] = Recipe, prefix: str = "") -> Iterator[Described]:
    """Yields every field with its dotted name, each section before its fields."""
    for name, info in model.model_fields.items():
        inner, dotted, text = model_of(info.annotation), f"{prefix}{name}", info.description or ""
        default = REQUIRED if info.is_required() else plain(info.default)
        if inner is not None and inner.__name__ not in SHORTHANDS:
            many = typing.get_origin(info.annotation) is tuple
            about = (inner.__doc__ or "").strip().splitlines()[0]
            yield Described(dotted, "list" if many else "section", "", default, _bounds(info), text, about)
            yield from fields(inner, f"{dotted}[]." if many else f"{dotted}.")
            continue
        yield Described(dotted, "value", type_words(info.annotation, info.metadata), default, _bounds(info), text)


def page() -> str:
    """Returns the reference as Markdown: a table for the recipe itself and one for each section."""
    every = list(fields())
    tables = [INTRODUCTION, "## The recipe\n", _table([field for field in every if _depth(field) == 0])]
    for section in every:
        if section.kind == "value":
            continue
        inside = f"{section.name}[]." if section.kind == "list" else f"{section.name}."
        rows = [field for field in every if field.name.startswith(inside) and _depth(field) == inside.count(".")]
        each = " (each of the list)" if section.kind == "list" else ""
        tables += [f"\n## {section.name}{each}\n", f"{section.about}\n", _table(rows)]
    return "\n".join(tables) + "\n"


def _depth(field: Described) -> int:
    return field.name.count(".")


def _table(rows: list[Described]) -> str:
    lines = ["| field | type | default | bounds | meaning |", "| --- | --- | --- | --- | --- |"]
    for field in rows:
        name, *cells = field.name.rpartition(".")[2], field.type, field.default, field.bounds
        if field.kind != "value":
            cells = [field.kind, REQUIRED if field.default == REQUIRED else "", field.bounds]
        elif field.default != REQUIRED:
            cells[1] = f"`{field.default}`"
        shown = [cell.replace("|", "\\|").replace("<", "\\<") for cell in (f"`{name}`", *cells, field.text)]
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines)


def _bounds(info: FieldInfo) -> str:
    """Returns the limits of a value, or of each entry of a list, and a list's length."""
    limits = list(info.metadata)
    for argument in typing.get_args(info.annotation):
        if typing.get_origin(argument) is Annotated:
            limits += [limit for item in typing.get_args(argument)[1:] for limit in getattr(item, "metadata", [item])]
    low = next((limit for limit in limits if isinstance(limit, (Ge, Gt))), None)
    high = next((limit for limit in limits if isinstance(limit, (Le, Lt))), None)
    least = next((limit.min_length for limit in limits if isinstance(limit, MinLen)), None)
    most = next((limit.max_length for limit in limits if isinstance(limit, MaxLen)), None)
    length = "" if least is None else f"{least} {'or more' if most is None else f'to {most}'} entries"
    return ", ".join(part for part in (_interval(low, high), length) if part)


def _interval(low: Ge | Gt | None, high: Le | Lt | None) -> str:
    lowest = _number(low.ge if isinstance(low, Ge) else low.gt) if low else ""
    highest = _number(high.le if isinstance(high, Le) else high.lt) if high else ""
    if low and high:
        return f"{'[' if isinstance(low, Ge) else '('}{lowest}, {highest}{']' if isinstance(high, Le) else ')'}"
    if low:
        return f"{lowest} or more" if isinstance(low, Ge) else f"above {lowest}"
    return (f"{highest} or less" if isinstance(high, Le) else f"below {highest}") if high else ""


def _number(value: Any) -> str:
    return {2**32: "2^32", 2**63: "2^63"}.get(value, f"{value:g}")


if __name__ == "__main__":
    sys.stdout.write(page())
