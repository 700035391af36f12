"""The batch plan: the images of step t, independent of earlier steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.training.data.batches import Batch, BatchPlan


class Case(NamedTuple):
    images: int
    batch_size: int
    steps: int
    seed: int
    active: Callable[[float], int] | None

    def plan(self) -> BatchPlan:
        return BatchPlan(*self)

    def walked(self) -> list[Batch]:
        plan = self.plan()
        return [plan.at(step) for step in range(self.steps)]

    def in_play(self, progress: float) -> int:
        """Returns the number of images of a pass from this progress on: at least a batch, at most all."""
        wanted = self.images if self.active is None else self.active(progress)
        return min(self.images, max(wanted, self.batch_size))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    images = draw(st.integers(1, 120))
    start, rise = draw(st.floats(0.01, 1)), draw(st.floats(0, 3))

    def growing(progress: float) -> int:
        return math.ceil(images * (start + rise * progress))  # may ask for more images than there are

    return Case(
        images=images,
        batch_size=draw(st.integers(1, 150)),
        steps=draw(st.integers(1, 40)),
        seed=draw(st.integers(0, 2**63)),
        active=growing if draw(st.booleans()) else None,
    )


def passes(case: Case) -> list[list[Batch]]:
    walked = case.walked()
    return [[batch for batch in walked if batch.pass_number == number] for number in range(case.plan().passes)]


@given(case=cases())
def test_a_step_reached_directly_is_the_step_reached_in_order(case: Case) -> None:
    for batch in case.walked():
        direct = case.plan().at(batch.step)
        np.testing.assert_array_equal(direct.positions, batch.positions)
        assert (direct.step, direct.pass_number, direct.last_of_pass) == (
            batch.step, batch.pass_number, batch.last_of_pass
        )  # fmt: skip


@given(case=cases())
def test_steps_may_be_reached_in_any_order(case: Case) -> None:
    plan, walked = case.plan(), case.walked()
    for step in np.random.default_rng(0).permutation(case.steps).tolist():
        np.testing.assert_array_equal(plan.at(step).positions, walked[step].positions)


def test_threads_that_are_at_different_passes_do_not_disturb_each_other() -> None:
    plan, walked = BatchPlan(500, 10, 400, 0), [BatchPlan(500, 10, 400, 0).at(step) for step in range(400)]
    steps = np.random.default_rng(0).permutation(400).tolist()
    with ThreadPoolExecutor(max_workers=8) as pool:
        for batch in pool.map(plan.at, steps * 5):
            np.testing.assert_array_equal(batch.positions, walked[batch.step].positions)


@given(case=cases())
def test_a_pass_covers_the_images_in_play_at_its_start_each_exactly_once(case: Case) -> None:
    for batches in passes(case):
        shown = np.concatenate([batch.positions for batch in batches])
        in_play = case.in_play(batches[0].step / case.steps)
        if batches[-1].last_of_pass:
            assert sorted(shown.tolist()) == list(range(in_play))
        else:  # the steps ended within the pass
            assert batches[-1].step == case.steps - 1
            assert len(np.unique(shown)) == len(shown)
            assert shown.max() < in_play


@given(case=cases())
def test_batches_of_a_pass_differ_in_size_by_one_at_most_and_never_exceed_the_batch_size(case: Case) -> None:
    for batches in passes(case):
        sizes = [len(batch.positions) for batch in batches]
        assert 1 <= max(sizes) <= case.batch_size
        assert max(sizes) - min(sizes) <= 1


@given(case=cases())
def test_passes_follow_each_other_and_agree_with_their_starts_and_ends(case: Case) -> None:
    plan, walked = case.plan(), case.walked()
    starts = [plan.pass_start(step) for step in range(case.steps)]
    for before, after in pairwise(walked):
        assert after.pass_number - before.pass_number == before.last_of_pass
        assert starts[after.step] == (after.step if before.last_of_pass else starts[before.step])
        assert (plan.pass_end(before.step) == after.step) == before.last_of_pass
    assert starts[0] == 0
    assert plan.passes == walked[-1].pass_number + 1


@given(case=cases())
def test_the_same_seed_gives_the_same_plan(case: Case) -> None:
    for one, other in zip(case.walked(), case.walked(), strict=True):
        np.testing.assert_array_equal(one.positions, other.positions)


@given(seed=st.integers(0, 2**62), other=st.integers(0, 2**62))
def test_another_seed_or_pass_has_another_order(seed: int, other: int) -> None:
    def orders(seed: int) -> list[tuple[int, ...]]:
        plan = BatchPlan(images=40, batch_size=40, steps=3, seed=seed)
        return [tuple(plan.at(step).positions.tolist()) for step in range(3)]

    assert len({*orders(seed), *orders(other)}) == (3 if seed == other else 6)


def test_more_than_a_batch_of_images_is_one_pass_of_even_batches() -> None:
    plan = BatchPlan(images=10, batch_size=4, steps=6, seed=0)
    assert [len(plan.at(step).positions) for step in range(6)] == [3, 3, 4, 3, 3, 4]
    assert plan.passes == 2
