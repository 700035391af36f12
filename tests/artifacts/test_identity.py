"""The canonical serial form that identities are computed from."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.artifacts.identity import canonical_json

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


class Colour(Enum):
    RED = 1


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(), PLAIN, max_size=4))
def test_plain_values_come_back_from_their_canonical_form(value: dict[str, Any]) -> None:
    assert json.loads(canonical_json(value)) == value


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.integers(), max_size=5))
def test_the_order_of_keys_does_not_count(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_tuples_count_as_lists_but_whole_numbers_not_as_floats() -> None:
    assert canonical_json({"a": (1, 2)}) == canonical_json({"a": [1, 2]})
    assert canonical_json({"a": 1}) != canonical_json({"a": 1.0})


@pytest.mark.parametrize(
    ("value", "field", "remedy"),
    [
        ({"rate": float("nan")}, "rate", "give a finite number"),
        ({"a": {"b": [0.0, float("inf")]}}, "a.b[1]", "give a finite number"),
        ({"a": {"b": Path("/x")}}, "a.b", "give plain values"),
        ({"a": np.int64(3)}, "a", "give plain values"),
        ({"a": [{"b": {1, 2}}]}, "a[0].b", "give plain values"),
        ({"a": len}, "a", "or the name of what you mean"),
        ({"a": b"x"}, "a", "give plain values"),
        ({"a": Colour.RED}, "a", "give plain values"),
        ({"a": {1: 2}}, "a", "keys must be strings"),
        ({1: 2}, "the value", "keys must be strings"),
    ],
)
def test_a_value_without_a_stable_form_is_refused_with_its_field_and_the_remedy(
    value: dict[Any, Any], field: str, remedy: str
) -> None:
    with pytest.raises(TypeError) as refused:
        canonical_json(value)
    assert str(refused.value).startswith(f"{field}: ")
    assert remedy in str(refused.value)
