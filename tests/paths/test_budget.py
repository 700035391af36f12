"""Which paths a budget of trainings reaches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.paths.budget import Needs, cheapest_first

COSTS = {"teacher": 100.0, "large": 30.0, "small": 10.0, "small by large": 10.0}


def path(*networks: str) -> Needs:
    """A path of these networks and a student of its own, which costs 1; the data cost nothing and are no training."""
    needed = {"data": 0.0, **{name: COSTS[name] for name in networks}, f"student of {networks[-1]}": 1.0}
    return Needs(needed, frozenset(needed) - {"data"})


PATHS = [
    path("teacher"),
    path("teacher", "large"),
    path("teacher", "small"),
    path("teacher", "large", "small by large"),
]


def test_paths_come_in_the_order_of_what_they_add_to_those_before() -> None:
    # 101; then 11 (small), 31 (large), and 11 (small by large, whose large one is there by then).
    assert cheapest_first(PATHS) == [0, 2, 1, 3]


def test_a_training_that_paths_share_is_counted_once() -> None:
    assert cheapest_first(PATHS, 2) == [0]
    assert cheapest_first(PATHS, 4) == [0, 2]
    assert cheapest_first(PATHS, 6) == [0, 2, 1]
    assert cheapest_first(PATHS, 8) == [0, 2, 1, 3]


def test_a_path_that_does_not_fit_leaves_room_for_one_that_does() -> None:
    free = Needs({"a": 1.0, "b": 1.0, "c": 1.0}, frozenset({"a", "b", "c"}))
    assert cheapest_first([free, Needs({"d": 50.0}, frozenset({"d"}))], 2) == [1]


def test_a_budget_below_every_path_reaches_none() -> None:
    assert cheapest_first(PATHS, 1) == []


IDENTITIES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 100), min_size=1)


@given(st.lists(IDENTITIES, max_size=6), st.integers(0, 10))
def test_a_budget_is_kept_and_used_up_as_far_as_any_path_fits(costs: list[dict[str, float]], budget: int) -> None:
    needs = [Needs(each, frozenset(each)) for each in costs]
    chosen = cheapest_first(needs, budget)
    trained = frozenset().union(*(needs[at].trainings for at in chosen))
    assert len(chosen) == len(set(chosen)) and len(trained) <= budget
    assert all(len(trained | needs[at].trainings) > budget for at in range(len(needs)) if at not in chosen)


@given(st.lists(IDENTITIES, max_size=6))
def test_without_a_budget_every_path_is_seen(costs: list[dict[str, float]]) -> None:
    needs = [Needs(each, frozenset(each)) for each in costs]
    assert sorted(cheapest_first(needs)) == list(range(len(needs)))
