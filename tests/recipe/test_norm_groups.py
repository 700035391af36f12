"""Batches cut into norm groups, and groups dealt to workers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.recipe.norm_groups import NormGroups, forward_passes

COUNTS = st.integers(1, 12)


@given(count=COUNTS, workers=COUNTS, images=st.integers(0, 60))
def test_pieces_in_the_order_of_workers_are_the_whole_batch(count: int, workers: int, images: int) -> None:
    groups = NormGroups(count, workers)
    pieces = [piece for rank in range(workers) for piece in groups.pieces(images, rank)]
    assert [position for piece in pieces for position in piece] == list(range(images))
    assert max(map(len, pieces)) <= groups.largest_piece(images)


@given(count=COUNTS, workers=COUNTS, images=st.integers(0, 60))
def test_the_cut_is_the_same_for_any_number_of_workers(count: int, workers: int, images: int) -> None:
    groups = NormGroups(count, workers)
    found = dict[int, list[int]]()
    for rank in range(workers):
        for number, piece in zip(groups.own(rank), groups.pieces(images, rank), strict=True):
            found.setdefault(number, []).extend(piece)
    alone = NormGroups(count)
    assert found == {number: list(group) for number, group in enumerate(alone.pieces(images, 0))}


@given(count=COUNTS, workers=COUNTS)
def test_workers_that_share_a_group_know_each_other(count: int, workers: int) -> None:
    groups = NormGroups(count, workers)
    for rank in range(workers):
        peers = groups.peers(rank)
        assert rank in peers
        assert all(groups.own(peer) == groups.own(rank) and groups.peers(peer) == peers for peer in peers)
        assert groups.are_shared or len(peers) == 1
    assert sum(groups.weight(rank) for rank in range(workers)) == pytest.approx(1)


@pytest.mark.parametrize(("norm_batch", "count"), [(None, 1), (256, 1), (300, 1), (255, 2), (64, 4), (60, 5), (2, 128)])
def test_a_group_has_at_most_so_many_images(norm_batch: int | None, count: int) -> None:
    assert NormGroups.of(256, norm_batch, workers=3) == NormGroups(count, 3)


@pytest.mark.parametrize(
    ("sizes", "micro_batch", "passes"),
    [
        ([4, 4, 4], None, [[4, 4, 4]]),
        ([4, 4, 4], 12, [[4, 4, 4]]),
        ([4, 4, 4], 11, [[4, 4], [4]]),
        ([3, 4, 3, 4], 7, [[3, 4], [3, 4]]),
        ([4, 4], 3, [[4], [4]]),
    ],
)
def test_forward_passes_hold_whole_groups(sizes: list[int], micro_batch: int | None, passes: list[list[int]]) -> None:
    assert forward_passes(sizes, micro_batch) == passes
