"""The validation cut: exact, class by class, a function of its arguments only."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from orchestrator.datasets import TEST, TRAIN, VALIDATION, DatasetError, cut_validation
from orchestrator.datasets.checks import count_by_part
from orchestrator.datasets.split import cut_counts

Labels = NDArray[np.int64]

class_sizes = st.lists(st.integers(1, 40), min_size=2, max_size=8)
seeds = st.integers(0, 2**63 - 1)


def labels_of(sizes: list[int], order: int = 0) -> Labels:
    labels = np.repeat(np.arange(len(sizes)), sizes).astype(np.int64)
    return np.random.default_rng(order).permutation(labels)


def all_training(labels: Labels) -> NDArray[np.uint8]:
    return np.full(len(labels), TRAIN, np.uint8)


@given(class_sizes, st.data(), seeds)
def test_the_cut_has_exactly_the_asked_number_and_leaves_every_class_an_image(
    sizes: list[int], data: st.DataObject, seed: int
) -> None:
    assume(sum(sizes) > len(sizes))
    count = data.draw(st.integers(1, sum(sizes) - len(sizes)))
    labels = labels_of(sizes)
    subset = cut_validation(labels, all_training(labels), count, seed)
    assert np.sum(subset == VALIDATION) == count
    assert set(labels[subset == TRAIN]) == set(range(len(sizes)))


@given(st.lists(st.integers(10, 60), min_size=2, max_size=8), st.floats(0.05, 0.5), seeds)
def test_each_class_is_cut_in_its_share_to_within_one_image(sizes: list[int], share: float, seed: int) -> None:
    labels = labels_of(sizes)
    subset = cut_validation(labels, all_training(labels), share, seed)
    count = int(np.sum(subset == VALIDATION))
    assert abs(count - share * len(labels)) <= 0.5 + 1e-9
    taken = np.bincount(labels[subset == VALIDATION], minlength=len(sizes))
    assert np.all(np.abs(taken - count * np.array(sizes) / sum(sizes)) < 1)


@given(class_sizes, seeds)
def test_equal_arguments_return_the_same_cut_and_are_not_changed(sizes: list[int], seed: int) -> None:
    assume(sum(sizes) > len(sizes))
    labels = labels_of(sizes)
    before = all_training(labels)
    first, second = (cut_validation(labels, before, 1, seed) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(before, all_training(labels))


@given(class_sizes, class_sizes, st.integers(1, 30), st.booleans())
def test_counts_by_class_are_those_of_the_cut(sizes: list[int], tests: list[int], count: int, cut: bool) -> None:
    assume(sum(sizes) - len(sizes) >= count)
    labels = np.concatenate([labels_of(sizes), labels_of(tests)])
    subset = np.repeat(np.array([TRAIN, TEST], np.uint8), [sum(sizes), sum(tests)])
    classes = max(len(sizes), len(tests)) + 1  # the last one has no images
    if cut:  # a set with validation images of its own
        subset[0] = VALIDATION
    expected = count_by_part(labels, cut_validation(labels, subset, count, 0), classes)
    np.testing.assert_array_equal(cut_counts(count_by_part(labels, subset, classes), count), expected)


def test_the_cut_follows_the_seed() -> None:
    labels = labels_of([50, 50])
    cuts = {cut_validation(labels, all_training(labels), 10, seed).tobytes() for seed in range(10)}
    assert len(cuts) == 10


def test_the_cut_of_a_known_set_never_changes() -> None:
    labels = np.arange(20, dtype=np.int64) % 2
    cut = np.flatnonzero(cut_validation(labels, all_training(labels), 0.3, 7) == VALIDATION)
    assert cut.tolist() == [2, 3, 7, 8, 16, 19]  # a change here would change the identity of every run


@given(class_sizes, seeds)
def test_test_images_are_never_taken(sizes: list[int], seed: int) -> None:
    assume(sum(sizes) > len(sizes))
    labels = np.concatenate([labels_of(sizes), labels_of(sizes)])
    subset = all_training(labels)
    subset[: len(labels) // 2] = TEST
    after = cut_validation(labels, subset, 1, seed)
    np.testing.assert_array_equal(after == TEST, subset == TEST)


def test_a_set_with_validation_images_is_not_cut() -> None:
    labels = labels_of([5, 5])
    subset = all_training(labels)
    subset[3] = VALIDATION
    np.testing.assert_array_equal(cut_validation(labels, subset, 4, 0), subset)


@pytest.mark.parametrize(("validation", "advice"), [(0.01, "give a larger one"), (9, "give a smaller one")])
def test_an_impossible_cut_is_refused_with_the_field_and_the_remedy(validation: int | float, advice: str) -> None:
    labels = labels_of([5, 5])
    with pytest.raises(DatasetError, match=rf"dataset\.validation: {validation} .*{advice}"):
        cut_validation(labels, all_training(labels), validation, 0)
