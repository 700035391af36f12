"""The serial form that identities are computed from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def canonical_json(value: Mapping[str, Any]) -> str:
    """Returns the serial form that identities are computed from: sorted keys, no spaces, finite numbers only.

    Raises:
        TypeError: naming the field whose value has no stable serial form, and what to do.
    """

    def check(place: str, item: Any) -> None:
        at = place or "the value"
        if item is None or isinstance(item, (bool, int, str)):
            return
        if isinstance(item, float):
            if item != item or item in (float("inf"), float("-inf")):
                raise TypeError(f"{at}: {item} has no stable serial form; give a finite number or leave the field out")
            return
        if isinstance(item, (list, tuple)):
            for position, child in enumerate(item):
                check(f"{place}[{position}]", child)
            return
        if isinstance(item, Mapping):
            for key, child in item.items():
                if not isinstance(key, str):
                    raise TypeError(f"{at}: key {key!r} is a {type(key).__name__}; keys must be strings")
                check(f"{place}.{key}" if place else key, child)
            return
        raise TypeError(
            f"{at}: a {type(item).__name__} has no stable serial form; "
            "give plain values (numbers, strings, lists, mappings), or the name of what you mean"
        )

    check("", value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
