"""What counts as a broken image in memory."""

import numpy as np
import pytest

from orchestrator.datasets import DatasetError, check_arrays

IMAGES = np.zeros((4, 8, 6, 3), np.uint8)
SHAPE = (3, 8, 6)


def test_labels_out_of_range_are_found_with_their_number() -> None:
    labels = np.array([0, 5, -1, 4])
    assert check_arrays(IMAGES, labels, 5, SHAPE) == [(1, "label 5 is not in 0 to 4"), (2, "label -1 is not in 0 to 4")]


def test_an_image_of_one_colour_is_whole() -> None:
    assert check_arrays(IMAGES, np.zeros(4, np.int64), 5, SHAPE) == []


@pytest.mark.parametrize(
    ("images", "labels", "named"),
    [
        (IMAGES.astype(np.float32), np.zeros(4, np.int64), "images"),
        (IMAGES.transpose(0, 3, 1, 2), np.zeros(4, np.int64), "images"),
        (IMAGES[..., 0], np.zeros(4, np.int64), "images"),
        (IMAGES, np.zeros(4, np.int32), "labels"),
        (IMAGES, np.zeros(3, np.int64), "labels"),
    ],
)
def test_arrays_of_another_type_or_shape_are_refused(images: np.ndarray, labels: np.ndarray, named: str) -> None:
    with pytest.raises(DatasetError, match=f"{named}: expected"):
        check_arrays(images, labels, 5, SHAPE)
