"""Which test images a network is right on, and an expert's logits of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.artifacts.evaluated import (
    LOWEST,
    TEST_LOGITS,
    LogitsWriter,
    read_right,
    read_test_logits,
    write_right,
)
from orchestrator.artifacts.reading import Array, FolderFiles


def stored(folder: Path, *batches: Array) -> Array:
    writer = LogitsWriter(folder, sum(map(len, batches)), batches[0].shape[1])
    for batch in batches:
        writer.put(batch)
    writer.finish()
    return read_test_logits(FolderFiles(folder))


def softmax(logits: Array) -> Array:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares


def test_logits_are_read_back_in_order_less_the_largest_of_each_image(tmp_path: Path) -> None:
    first, second = np.array([[1.0, 3.0], [0.5, 0.0]], np.float32), np.array([[-2.0, -2.5]], np.float32)
    found = stored(tmp_path, first, second)
    np.testing.assert_array_equal(found, [[-2, 0], [0, -0.5], [0, -0.5]])
    assert found.dtype == np.float16 and isinstance(found, np.memmap)


@pytest.mark.parametrize("scale", [0.01, 1.0, 300.0])
def test_probabilities_and_predictions_are_those_of_the_network(scale: float, tmp_path: Path) -> None:
    logits = (scale * np.random.default_rng(0).normal(size=(500, 20)) + 2000).astype(np.float32)
    found = stored(tmp_path, logits)
    np.testing.assert_array_equal(found.argmax(axis=1), logits.argmax(axis=1))
    np.testing.assert_allclose(softmax(found), softmax(logits), atol=1e-3)


def test_logits_that_are_too_large_for_fp16_are_stored_all_the_same(tmp_path: Path) -> None:
    found = stored(tmp_path, np.array([[1e6, 1e6 - 1, -1e6]], np.float32))
    np.testing.assert_array_equal(found, [[0, -1, LOWEST]])


def test_a_class_and_image_take_two_bytes(tmp_path: Path) -> None:
    stored(tmp_path, np.zeros((100, 50), np.float32))
    assert (tmp_path / TEST_LOGITS).stat().st_size == pytest.approx(2 * 100 * 50, abs=256)


def test_the_images_that_a_network_is_right_on_are_read_back(tmp_path: Path) -> None:
    write_right(tmp_path, np.array([True, False, True]))
    assert read_right(FolderFiles(tmp_path)).tolist() == [True, False, True]
