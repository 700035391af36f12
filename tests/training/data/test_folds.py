"""Folds of the training images."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.training.data.folds import folds_of


@given(images=st.integers(1, 300), folds=st.integers(2, 9), seed=st.integers(0, 2**63))
def test_every_image_is_in_one_fold_and_folds_are_of_one_size(images: int, folds: int, seed: int) -> None:
    found = folds_of(images, folds, seed)
    assert len(found) == images
    sizes = np.bincount(found, minlength=folds)
    assert len(sizes) == folds
    assert sizes.max() - sizes.min() <= 1


def test_they_are_a_function_of_the_seed() -> None:
    np.testing.assert_array_equal(folds_of(95, 4, 0), folds_of(95, 4, 0))
    assert not np.array_equal(folds_of(95, 4, 0), folds_of(95, 4, 1))
