"""Shortened logits: properties of the softened distribution that is made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curricula.difficulty import log_softmax
from orchestrator.artifacts.top_k import REST_TEMPERATURE, expand, record_type, shorten

TEMPERATURES = (1.0, 2.0, 4.0, 8.0)


@st.composite
def rows_and_k(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Logits float32 (n, C), ties included, and a k from 1 to C - 1."""
    classes = draw(st.integers(2, 30))
    value = st.floats(-60, 60, width=32) | st.sampled_from([0.0, 1.0])
    logits = draw(arrays(np.float32, (draw(st.integers(1, 4)), classes), elements=value))
    return logits, draw(st.integers(1, classes - 1))


def shortened(logits: np.ndarray, k: int) -> np.ndarray:
    return expand(shorten(logits, k), logits.shape[-1])


def divergence(logits: np.ndarray, k: int, temperature: float) -> np.ndarray:
    """KL(whole || shortened) of each row's softened distribution, in nats."""
    whole, short = (log_softmax(each.astype(np.float64) / temperature) for each in (logits, shortened(logits, k)))
    return (np.exp(whole) * (whole - short)).sum(axis=-1)


@given(rows_and_k(), st.sampled_from(TEMPERATURES))
def test_the_mass_of_the_softened_distribution_is_1(given_: tuple[np.ndarray, int], temperature: float) -> None:
    mass = np.exp(log_softmax(shortened(*given_).astype(np.float64) / temperature)).sum(axis=-1)
    np.testing.assert_allclose(mass, 1)


@given(rows_and_k())
def test_the_k_largest_are_stored_as_fp16_and_all_others_are_alike(given_: tuple[np.ndarray, int]) -> None:
    logits, k = given_
    records = shorten(logits, k)
    kept = records["classes"].astype(np.int64)
    np.testing.assert_array_equal(records["logits"], np.take_along_axis(logits, kept, axis=-1).astype(np.float16))
    found = expand(records, logits.shape[-1])
    for row, mine, its in zip(logits, found, kept, strict=True):
        others = np.delete(np.arange(len(row)), its)
        assert len(set(its)) == k
        assert row[its].min() >= row[others].max()
        assert len(set(mine[others])) == 1


@given(rows_and_k())
def test_no_class_overtakes_another(given_: tuple[np.ndarray, int]) -> None:
    logits, k = given_
    short = shortened(logits, k).astype(np.float32)
    order = np.lexsort((short, logits), axis=-1)  # equal logits may come to differ, in either order
    found = np.take_along_axis(short, order, axis=-1)
    # The logit of the rest lies between their smallest and their largest, up to the rounding of fp16.
    assert (np.diff(found, axis=-1) >= -np.abs(found[:, 1:]) * 2.0**-10).all()


@given(rows_and_k())
def test_at_the_rest_s_temperature_the_mass_of_the_stored_classes_is_exact(given_: tuple[np.ndarray, int]) -> None:
    logits, k = given_
    kept = shorten(logits, k)["classes"].astype(np.int64)
    whole, short = (
        np.take_along_axis(np.exp(log_softmax(each.astype(np.float64) / REST_TEMPERATURE)), kept, axis=-1).sum(axis=-1)
        for each in (logits, shortened(logits, k))
    )
    np.testing.assert_allclose(short, whole, rtol=0, atol=0.01)  # fp16 rounds a logit of 60 by up to 1 / 64


@given(rows_and_k(), st.sampled_from(TEMPERATURES))
def test_the_divergence_is_at_most_the_spread_of_the_rest(given_: tuple[np.ndarray, int], temperature: float) -> None:
    logits, k = given_
    rest = np.sort(logits, axis=-1)[:, : logits.shape[-1] - k]
    # Each logit of the rest moves within their range, and none of the others moves.
    bound = (rest.max(axis=-1) - rest.min(axis=-1)) / temperature
    found = divergence(logits, k, temperature)
    assert (found >= -1e-9).all()
    assert (found <= bound + 0.07 / temperature).all()


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_divergence_falls_as_more_are_stored(temperature: float) -> None:
    logits = 2 * np.random.default_rng(0).standard_normal((50, 100)).astype(np.float32)
    found = [divergence(logits, k, temperature).mean() for k in (1, 10, 50, 90)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("classes", [100, 1000])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_divergence_is_near_that_of_a_rest_made_for_the_temperature(classes: int, temperature: float) -> None:
    logits = 2 * np.random.default_rng(0).standard_normal((200, classes))
    k, whole = 10, log_softmax(logits / temperature)
    order = np.argsort(logits, axis=-1)
    best = np.exp(whole)
    others = np.take_along_axis(best, order[:, :-k], axis=-1).mean(axis=-1, keepdims=True)
    np.put_along_axis(best, order[:, :-k], others, axis=-1)  # the exact mass, spread evenly
    least = (np.exp(whole) * (whole - np.log(best))).sum(axis=-1).mean()
    limit = 1.25 if temperature == 1 else 1.03
    assert least <= divergence(logits.astype(np.float32), k, temperature).mean() <= limit * least


def test_logits_that_fp16_can_t_hold_become_infinite() -> None:
    assert np.isinf(shorten(np.array([[1e5, 0, 1, 2]], np.float32), 2)["logits"]).any()


@pytest.mark.parametrize(("classes", "k", "size"), [(1000, 10, 42), (1000, 50, 202), (65_536, 5, 22), (65_537, 5, 32)])
def test_a_record_has_two_bytes_a_logit_and_as_many_a_class(classes: int, k: int, size: int) -> None:
    assert record_type(classes, k).itemsize == size
