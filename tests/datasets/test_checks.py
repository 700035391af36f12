"""Broken images in memory, and subsets or classes that lose all their images."""

import numpy as np
import pytest

from orchestrator.datasets import TEST, TRAIN, VALIDATION, DatasetError, check_arrays
from orchestrator.datasets.checks import check_brightness, class_notes, count_by_part, emptied

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


def test_photos_that_are_all_nearly_black_ask_for_the_white_level() -> None:
    check_brightness(17)
    twelve_bits_taken_for_sixteen = int(255 * 4095 / 65535 + 0.5)
    with pytest.raises(DatasetError, match=r"brighter than 16 of 255.*dataset\.white_level .*4095 for 12 bits"):
        check_brightness(twelve_bits_taken_for_sixteen)


NAMES = ("ant", "bee", "cat")


def test_classes_that_a_part_of_the_data_lacks_are_named() -> None:
    labels = np.array([0, 0, 1, 1, 9, 0, 1])
    subset = np.array([TRAIN, TRAIN, TRAIN, TRAIN, TRAIN, VALIDATION, TEST], np.uint8)
    assert class_notes(count_by_part(labels, subset, len(NAMES)), NAMES) == [
        "classes without training images: cat (1 of 3)",
        "classes without validation images: bee, cat (2 of 3)",
        "classes without test images: ant, cat (2 of 3)",
    ]
    one_of_the_first = count_by_part(np.zeros(1, np.int64), np.full(1, TEST, np.uint8), 8)
    many = class_notes(one_of_the_first, tuple("abcdefgh"))
    assert "b, c, d, e, f and 2 more (7 of 8)" in many[-1]


@pytest.mark.parametrize(
    ("broken", "lost"),
    [
        ([], []),
        ([0, 4], []),
        ([8], []),  # validation of one class: the other is left
        ([0, 1], ["class ant has no training image left: 2 of 2 are broken"]),
        ([0, 1, 2, 3, 4], ["no training image is left: 5 of 5 are broken"]),
        ([8, 9], ["no validation image is left: 2 of 2 are broken"]),
        ([5, 6], ["class ant has no test image left: 2 of 2 are broken"]),
        ([5, 6, 7], ["no test image is left: 3 of 3 are broken"]),
    ],
)
def test_a_part_or_a_class_that_broken_images_empty_is_named_with_counts(broken: list[int], lost: list[str]) -> None:
    labels = np.array([0, 0, 1, 1, 1, 0, 0, 1, 0, 1])
    subset = np.array([TRAIN] * 5 + [TEST] * 3 + [VALIDATION] * 2, np.uint8)
    keep = np.ones(10, bool)
    keep[broken] = False
    assert emptied(labels, subset, keep, NAMES) == lost
