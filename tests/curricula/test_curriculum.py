"""Every mode of a curriculum, with every selector."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curricula.curriculum import MODES, Curriculum, share
from curricula.pacing import Pacing, make
from curricula.selection import CONTROLS, ONLINE, SELECTORS, Selection, select
from tests.curricula.examples import EXPERTS, IMAGES, evidence, random_ranks

PACING = make("linear", 0.8, 0.1)
PROGRESS = [k / 20 for k in range(21)]

progresses = st.floats(0, 1)


def curriculum(
    mode: str, selector: str = "stratified", pacing: Pacing = PACING, base: str = "stratified"
) -> Curriculum:
    known = evidence()
    selection = select(selector, random_ranks(4, IMAGES), EXPERTS, evidence=known, base=base, seed=5, table=(2, 0, 1))
    return Curriculum(selection, pacing, mode, EXPERTS)


@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("mode", MODES)
class TestEveryModeAndSelector:
    def test_at_the_end_everything_is_in_play_with_its_selected_expert(self, mode: str, selector: str) -> None:
        it = curriculum(mode, selector)
        np.testing.assert_array_equal(np.sort(it.active(1.0)), np.arange(IMAGES))
        np.testing.assert_array_equal(it.experts_at(1.0), it.selection.experts)
        assert it.expert_limit(1.0) == EXPERTS - 1

    def test_active_sets_are_nested_prefixes_of_the_order(self, mode: str, selector: str) -> None:
        it = curriculum(mode, selector)
        counts = [it.active_count(progress) for progress in PROGRESS]
        assert counts == sorted(counts)
        for progress, count in zip(PROGRESS, counts, strict=True):
            np.testing.assert_array_equal(it.active(progress), it.order[:count])

    def test_an_image_never_has_a_larger_expert_than_selected_or_open(self, mode: str, selector: str) -> None:
        it = curriculum(mode, selector)
        for progress in PROGRESS:
            experts = it.experts_at(progress)
            assert experts.dtype == np.int64
            assert (experts <= it.selection.experts).all()
            assert (experts <= it.expert_limit(progress)).all()
            assert (experts >= 0).all()

    def test_experts_only_grow(self, mode: str, selector: str) -> None:
        it = curriculum(mode, selector)
        taught = np.array([it.experts_at(progress) for progress in PROGRESS])
        assert (np.diff(taught, axis=0) >= 0).all()

    def test_frequencies_count_the_experts_of_the_images_in_play(self, mode: str, selector: str) -> None:
        it = curriculum(mode, selector)
        for progress in PROGRESS:
            experts = [int(it.experts_at(progress)[image]) for image in it.active(progress, 7)]
            assert it.frequencies(progress, 7).tolist() == [experts.count(expert) for expert in range(EXPERTS)]

    def test_refuses_a_progress_outside_its_range(self, mode: str, selector: str) -> None:
        it = curriculum(mode, selector)
        for method in (it.fraction, it.active_count, it.active, it.expert_limit, it.experts_at, it.frequencies):
            with pytest.raises(ValueError, match=r"progress: 1.5"):
                method(1.5)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("base", sorted(SELECTORS.keys() - CONTROLS.keys() - set(ONLINE)))
@given(progress=progresses)
def test_controls_use_each_expert_as_often_as_their_base_at_every_progress(
    base: str, control: str, mode: str, progress: float
) -> None:
    of_base, of_control = curriculum(mode, base), curriculum(mode, control, base=base)
    np.testing.assert_array_equal(of_control.frequencies(progress), of_base.frequencies(progress))


@pytest.mark.parametrize("mode", ["reveal", "both"])
@given(progress=st.integers(0, 1000).map(lambda step: step / 1000), minimum=st.integers(1, 2 * IMAGES))
def test_revealing_modes_show_the_easiest_share_and_at_least_the_minimum(
    mode: str, progress: float, minimum: int
) -> None:
    it = curriculum(mode)
    shown = it.active(progress, minimum)
    assert len(shown) == min(IMAGES, max(minimum, math.ceil(it.fraction(progress) * IMAGES - 1e-6)))
    hidden = np.setdiff1d(np.arange(IMAGES), shown)
    assert not len(hidden) or it.selection.ranks[shown].max() < it.selection.ranks[hidden].min()


@pytest.mark.parametrize("mode", ["static", "promote"])
def test_the_other_modes_show_everything_at_once(mode: str) -> None:
    assert curriculum(mode).active_count(0.0) == IMAGES


@pytest.mark.parametrize("mode", ["promote", "both"])
def test_promoting_modes_open_the_experts_from_small_to_large(mode: str) -> None:
    it = curriculum(mode, pacing=make("linear", 1.0, 0.001))
    assert [it.expert_limit(progress) for progress in (0.0, 0.3, 0.4, 0.6, 0.7, 1.0)] == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(it.experts_at(0.4), np.minimum(it.selection.experts, 1))


@pytest.mark.parametrize("mode", ["static", "reveal"])
def test_the_other_modes_keep_the_selected_experts(mode: str) -> None:
    it = curriculum(mode)
    assert it.expert_limit(0.0) == EXPERTS - 1
    np.testing.assert_array_equal(it.experts_at(0.0), it.selection.experts)


@given(st.integers(1, 2000), st.data())
def test_a_share_of_k_in_n_is_k_however_it_was_rounded(whole: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, whole))
    for error in (-1e-10, -1e-16, 0.0, 1e-16, 1e-10):
        assert share(k / whole + error, whole) == k


@pytest.mark.parametrize(
    ("fraction", "whole", "count"),
    [(0.6000000001, 5, 3), (0.1 + 0.2, 10, 3), (0.61, 5, 4), (1e-12, 5, 1), (1.0, 1_300_000, 1_300_000)],
)
def test_a_share_is_rounded_up_and_never_nothing(fraction: float, whole: int, count: int) -> None:
    assert share(fraction, whole) == count


def test_the_order_is_computed_once_and_cannot_be_written() -> None:
    it = curriculum("reveal")
    assert it.order is it.order
    with pytest.raises(ValueError, match="read-only"):
        it.active(0.5)[0] = 1


def test_unknown_mode_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"mode: 'promot' is unknown. Did you mean 'promote'"):
        curriculum("promot")


def test_a_selection_for_a_larger_ladder_is_refused() -> None:
    selection = Selection(np.array([0.0, 0.5]), np.array([0, 3]))
    with pytest.raises(ValueError, match=r"selection\.experts: values from 0 to 3"):
        Curriculum(selection, PACING, "static", 3)
