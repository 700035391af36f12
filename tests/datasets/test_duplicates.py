"""Duplicates by content, and images of a single colour."""

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.datasets import TEST, TRAIN, VALIDATION
from orchestrator.datasets.duplicates import DIGEST_BYTES, digest, find_duplicates, is_blank

PARTS = st.sampled_from([TRAIN, VALIDATION, TEST])


def test_repeats_are_counted_on_each_side_and_leaks_between_them() -> None:
    found = find_duplicates(
        b"".join(digest(content) for content in (b"a", b"b", b"a", b"c", b"a", b"c", b"b", b"c")),
        np.array([TRAIN, TRAIN, VALIDATION, TEST, TEST, TEST, TEST, TEST], np.uint8),
    )
    assert (found.repeated, found.repeated_pairs) == (3, ((2, 0), (5, 3), (7, 3)))
    assert (found.leaked, found.leaked_pairs) == (2, ((4, 0), (6, 1)))


@given(st.lists(st.tuples(st.integers(0, 5), PARTS), min_size=1, max_size=40))
def test_counts_are_those_of_a_comparison_of_all_pairs(images: list[tuple[int, int]]) -> None:
    found = find_duplicates(
        b"".join(digest(bytes([content])) for content, _ in images), np.array([part for _, part in images], np.uint8)
    )
    sides = [(content, part == TEST) for content, part in images]
    assert found.repeated == len(images) - len(set(sides))
    assert found.leaked == sum(part == TEST and (content, False) in sides for content, part in images)


def test_digests_that_end_in_zeros_are_told_apart() -> None:
    digests = [b"\1" + bytes(15), b"\1\0\1" + bytes(13), bytes(16), b"\1" + bytes(15)]
    assert find_duplicates(b"".join(digests), np.zeros(4, np.uint8)).repeated_pairs == ((3, 0),)


def test_a_million_images_take_seconds() -> None:
    count = 1_300_000
    digests = np.random.default_rng(0).bytes(count * DIGEST_BYTES)
    began = time.process_time()
    found = find_duplicates(digests + digests[: 7 * DIGEST_BYTES], np.zeros(count + 7, np.uint8))
    assert found.repeated == 7
    assert time.process_time() - began < 10


def test_an_image_of_a_single_colour_is_blank() -> None:
    image = np.full((4, 5, 3), (1, 2, 3), np.uint8)
    assert is_blank(image)
    image[3, 4, 2] = 4
    assert not is_blank(image)
