"""Label noise: so many training labels, evenly to other classes, and none of validation or test images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from orchestrator.datasets import TRAIN
from orchestrator.datasets.label_noise import with_label_noise

CLASSES = 5


def some_set(images: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    generator = np.random.default_rng(0)
    return generator.integers(0, CLASSES, images), generator.integers(0, 3, images).astype(np.uint8)


@given(st.integers(0, 300), st.floats(0, 0.999), st.integers(0, 2**63 - 1))
def test_the_asked_share_of_training_labels_is_replaced_and_no_other_label(
    images: int, share: float, seed: int
) -> None:
    labels, subset = some_set(images)
    before = labels.copy()
    noisy = with_label_noise(labels, subset, share, CLASSES, seed)
    np.testing.assert_array_equal(labels, before)
    assert not np.shares_memory(noisy, labels)
    wrong = noisy != labels
    assert wrong.sum() == int(share * (subset == TRAIN).sum() + 0.5)
    assert np.all(subset[wrong] == TRAIN)
    assert noisy.dtype == np.int64 and np.all((noisy >= 0) & (noisy < CLASSES))


def test_every_class_and_every_step_to_another_one_is_as_likely() -> None:
    labels = np.repeat(np.arange(CLASSES), 8000)
    noisy = with_label_noise(labels, np.full(len(labels), TRAIN, np.uint8), 0.4, CLASSES, 3)
    confusion = np.histogram2d(labels, noisy, bins=CLASSES)[0] / 8000
    np.testing.assert_allclose(confusion, np.full((CLASSES, CLASSES), 0.1) + 0.5 * np.eye(CLASSES), atol=0.02)


def test_it_is_a_function_of_the_seed_and_a_smaller_share_replaces_some_of_the_same_labels() -> None:
    labels, subset = some_set(2000)
    low, high, again, other = (
        with_label_noise(labels, subset, share, CLASSES, seed)
        for share, seed in ((0.2, 1), (0.4, 1), (0.4, 1), (0.4, 2))
    )
    np.testing.assert_array_equal(high, again)
    assert np.any(high != other)
    np.testing.assert_array_equal(low[low != labels], high[low != labels])


def test_no_share_changes_nothing() -> None:
    labels, subset = some_set(100)
    found = with_label_noise(labels, subset, 0.0, CLASSES, 0)
    np.testing.assert_array_equal(found, labels)
    assert not np.shares_memory(found, labels)


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_two_classes_swap(share: float) -> None:
    labels = np.arange(100) % 2
    noisy = with_label_noise(labels, np.full(100, TRAIN, np.uint8), share, 2, 0)
    assert (noisy != labels).sum() == round(100 * share) and set(noisy) <= {0, 1}
