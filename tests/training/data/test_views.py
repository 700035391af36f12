"""Views: parameters that are a function of (seed, image, view) only, uniform, and inside the image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.training.data.views import CLEAN, crop_box, crop_indices, uniforms, view_of_pass

seeds = st.integers(0, 2**63)
views = st.integers(0, 10_000)
image_lists = st.lists(st.integers(0, 2**40), min_size=1, max_size=20, unique=True)
edges = st.integers(1, 4000)


@given(seed=seeds, view=views, images=image_lists, count=st.integers(1, 6))
def test_an_images_numbers_do_not_depend_on_its_company_or_order(
    seed: int, view: int, images: list[int], count: int
) -> None:
    together = uniforms(seed, np.array(images), view, count)
    backwards = uniforms(seed, np.array(images[::-1]), view, count)[::-1]
    np.testing.assert_array_equal(together, backwards)
    for image, numbers in zip(images, together, strict=True):
        np.testing.assert_array_equal(uniforms(seed, np.array([image]), view, count)[0], numbers)


@given(seed=seeds, view=views, image=st.integers(0, 2**40))
def test_an_images_first_numbers_do_not_depend_on_how_many_are_drawn(seed: int, view: int, image: int) -> None:
    np.testing.assert_array_equal(
        uniforms(seed, np.array([image]), view, 5)[:, :3], uniforms(seed, np.array([image]), view, 3)
    )


@given(seed=seeds, view=views, images=image_lists)
def test_another_seed_or_view_has_other_numbers(seed: int, view: int, images: list[int]) -> None:
    numbers = uniforms(seed, np.array(images), view, 2)
    assert (numbers != uniforms(seed + 1, np.array(images), view, 2)).all()
    assert (numbers != uniforms(seed, np.array(images), view + 1, 2)).all()


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_numbers_are_uniform_and_independent_of_their_neighbours(seed: int) -> None:
    count = 20_000
    numbers = uniforms(seed, np.arange(count), 0, 2)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    for column in numbers.T:
        in_tenths = np.bincount((column * 10).astype(int), minlength=10)
        assert (((in_tenths - count / 10) ** 2) / (count / 10)).sum() < 33.7  # chi-squared, 9 degrees: p = 1e-4
    neighbours = {
        "column": (numbers[:, 0], numbers[:, 1]),
        "image": (numbers[:-1, 0], numbers[1:, 0]),
        "view": (numbers[:, 0], uniforms(seed, np.arange(count), 1, 1)[:, 0]),
        "seed": (numbers[:, 0], uniforms(seed + 1, np.arange(count), 0, 1)[:, 0]),
    }
    for name, (one, other) in neighbours.items():
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(count), name


@given(seed=seeds, view=st.integers(-1, 100), height=st.integers(1, 70), width=st.integers(1, 70), flip=st.booleans())
def test_crops_stay_inside_the_image(seed: int, view: int, height: int, width: int, flip: bool) -> None:
    rows, columns = crop_indices(seed, np.arange(30), view, height, width, flip)
    assert rows.shape == (30, height)
    assert columns.shape == (30, width)
    assert ((rows >= 0) & (rows < height)).all()
    assert ((columns >= 0) & (columns < width)).all()


@pytest.mark.parametrize("flip", [False, True])
def test_the_clean_view_is_the_image_itself(flip: bool) -> None:
    rows, columns = crop_indices(0, np.arange(5), CLEAN, 16, 12, flip)
    np.testing.assert_array_equal(rows, np.tile(np.arange(16), (5, 1)))
    np.testing.assert_array_equal(columns, np.tile(np.arange(12), (5, 1)))


@given(seed=seeds, view=views)
def test_two_views_of_the_same_images_differ(seed: int, view: int) -> None:
    one, other = (np.hstack(crop_indices(seed, np.arange(64), number, 32, 32, True)) for number in (view, view + 1))
    assert (one != other).any()


def test_every_shift_up_to_an_eighth_is_as_likely_and_half_are_mirrored() -> None:
    rows, columns = crop_indices(0, np.arange(18_000), 0, 32, 32, flip=True)
    shifts = rows[:, 16] - 16  # an inner row is shifted without reflection
    counts = np.bincount(shifts + 4)
    assert len(counts) == 9
    assert counts.min() > 1800
    mirrored = columns[:, 16] < columns[:, 15]
    assert 0.48 < mirrored.mean() < 0.52


def test_a_crop_without_flip_is_never_mirrored() -> None:
    _, columns = crop_indices(0, np.arange(1000), 0, 32, 32, flip=False)
    assert (columns[:, 16] > columns[:, 15]).all()


@given(seed=seeds, image=st.integers(0, 2**40), view=st.integers(-1, 10_000), width=edges, height=edges)
def test_a_photos_box_lies_inside_it(seed: int, image: int, view: int, width: int, height: int) -> None:
    (left, upper, right, lower), _ = crop_box(seed, image, view, width, height)
    assert 0 <= left < right <= width
    assert 0 <= upper < lower <= height


@given(seed=seeds, image=st.integers(0, 2**40), view=views)
def test_a_photos_box_has_8_to_100_percent_of_its_area_where_it_fits(seed: int, image: int, view: int) -> None:
    (left, upper, right, lower), _ = crop_box(seed, image, view, 400, 400)
    width, height = right - left, lower - upper
    assert width * height <= 400 * 400 * (1 + 1e-9)
    if width < 400 and height < 400:  # not cut to the photo
        assert width * height >= 0.08 * 400 * 400 * (1 - 1e-9)
        assert 3 / 4 - 1e-9 <= width / height <= 4 / 3 + 1e-9


def test_a_photos_clean_box_is_the_centre_seven_eighths_of_its_shorter_edge() -> None:
    assert crop_box(0, 0, CLEAN, 256, 256) == ((16, 16, 240, 240), False)
    assert crop_box(0, 0, CLEAN, 512, 256) == ((144, 16, 368, 240), False)


def test_a_pass_shows_a_new_view_or_one_of_the_stored_views_in_turn() -> None:
    assert [view_of_pass(number, 0) for number in range(5)] == [0, 1, 2, 3, 4]
    assert [view_of_pass(number, 3) for number in range(5)] == [0, 1, 2, 0, 1]
