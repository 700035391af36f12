"""The loader: the steps that are prepared at once, and their independence of the first step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from orchestrator.recipe.norm_groups import NormGroups
from orchestrator.training.data.batches import BatchPlan
from orchestrator.training.data.images import Request
from orchestrator.training.data.loader import Loader, StepGroup


@dataclass
class Numbered:
    """Images whose one pixel holds the image's number and the view's; asks for some batches ahead."""

    ahead: int = 0

    def views(self, images: npt.NDArray[np.int64], numbers: Sequence[int]) -> Tensor:
        image = torch.from_numpy(images).view(1, -1, 1, 1, 1).expand(len(numbers), -1, 1, 1, 1)
        view = torch.tensor(numbers).view(-1, 1, 1, 1, 1).expand(-1, len(images), 1, 1, 1)
        return torch.cat([image, view], dim=2).float()

    def stream(self, requests: Iterable[Request]) -> Generator[Tensor, None, None]:
        coming = iter(requests)
        known = deque(islice(coming, self.ahead))
        for request in coming:
            known.append(request)
            yield self.views(*known.popleft())
        yield from (self.views(*request) for request in known)

    def close(self) -> None:
        return None


def loader_of(
    images: int = 50, batch_size: int = 8, steps: int = 30, views: int = 0, interval: int = 5, at_once: int = 4,
    active: Callable[[float], int] | None = None, ahead: int = 0,
    groups: NormGroups | None = None, rank: int = 0,
) -> Loader:  # fmt: skip
    return Loader(
        Numbered(ahead), 100 + np.arange(images), BatchPlan(images, batch_size, steps, 0, active),
        np.arange(images)[::-1].copy(), views, interval, at_once, groups or NormGroups(), rank,
    )  # fmt: skip


@st.composite
def loaders(draw: st.DrawFn) -> Loader:
    images = draw(st.integers(1, 60))
    return loader_of(
        images=images,
        batch_size=draw(st.integers(1, 20)),
        steps=draw(st.integers(1, 40)),
        views=draw(st.integers(0, 3)),
        interval=draw(st.integers(1, 12)),
        at_once=draw(st.integers(1, 6)),
        active=(lambda progress: 1 + int(progress * images)) if draw(st.booleans()) else None,
    )


def steps_of(groups: Sequence[StepGroup]) -> list[list[int]]:
    return [[batch.step for batch in group.batches] for group in groups]


@given(loader=loaders())
def test_groups_are_all_steps_in_turn_and_end_with_a_pass_and_at_a_validation(loader: Loader) -> None:
    groups = list(loader.groups(0))
    steps = steps_of(groups)
    assert [step for group in steps for step in group] == list(range(loader.plan.steps))
    assert max(map(len, steps)) <= loader.at_once
    for group in groups:
        assert len({batch.pass_number for batch in group.batches}) == 1
        assert not any((batch.step + 1) % loader.interval == 0 for batch in group.batches[:-1])
    for before, after in pairwise(groups):  # none is shorter than it has to be
        last = before.batches[-1]
        whole = len(before.batches) == loader.at_once
        assert whole or last.last_of_pass or after.batches[0].step % loader.interval == 0


@given(loader=loaders())
def test_from_any_validation_on_the_groups_are_the_same(loader: Loader) -> None:
    whole = steps_of(list(loader.groups(0)))
    for step in range(0, loader.plan.steps, loader.interval):
        assert steps_of(list(loader.groups(step))) == [group for group in whole if group[0] >= step]


@given(loader=loaders())
def test_each_step_shows_its_own_batch_in_the_view_of_its_pass(loader: Loader) -> None:
    for group in loader.groups(0):
        for batch, shown in zip(group.batches, group.shown.parts(group.sizes), strict=True):
            np.testing.assert_array_equal(shown.numbers, loader.order[batch.positions])
            assert shown.view == (batch.pass_number % loader.views if loader.views else batch.pass_number)
            assert shown.pixels[:, 0].flatten().tolist() == loader.trained_on[shown.numbers].tolist()
            assert set(shown.pixels[:, 1].flatten().tolist()) == {shown.view}


def test_workers_show_a_batch_between_them() -> None:
    alone, pair = loader_of(), [loader_of(groups=NormGroups(workers=2), rank=rank) for rank in range(2)]
    for whole, one, other in zip(alone.groups(0), *(loader.groups(0) for loader in pair), strict=True):
        parts = [group.shown.parts(group.sizes) for group in (whole, one, other)]
        for every, first, second in zip(*parts, strict=True):
            np.testing.assert_array_equal(np.concatenate([first.numbers, second.numbers]), every.numbers)


@pytest.mark.parametrize("ahead", [1, 3, 100])
def test_images_that_are_made_ahead_belong_to_the_same_groups(ahead: int) -> None:
    for found, wanted in zip(loader_of(ahead=ahead).groups(0), loader_of().groups(0), strict=True):
        assert found.batches[0].step == wanted.batches[0].step
        assert torch.equal(found.shown.pixels, wanted.shown.pixels)


def test_a_group_by_itself_is_the_one_of_the_training() -> None:
    loader = loader_of()
    for group in loader.groups(0):
        assert torch.equal(loader.group(group.batches[0].step).shown.pixels, group.shown.pixels)
