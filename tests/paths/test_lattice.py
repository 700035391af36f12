"""The lattice: every subset of the TAs once in each topology."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.paths.lattice import TAPath, ta_paths
from orchestrator.recipe.topologies import TEACHERS, Topology

NAMES = st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=6)
TOPOLOGIES = st.lists(st.sampled_from(sorted(TEACHERS)), unique=True, min_size=1)


@given(NAMES, TOPOLOGIES)
def test_every_subset_is_there_once_in_each_topology(tas: list[str], topologies: list[Topology]) -> None:
    found = ta_paths(tas, topologies)
    assert len(found) == len(set(found)) == 2 ** len(tas) * len(topologies)
    for topology in topologies:
        subsets = {frozenset(path.tas) for path in found if path.topology == topology}
        assert len(subsets) == 2 ** len(tas)


@given(NAMES)
def test_a_path_has_its_tas_largest_first_and_short_paths_come_first(tas: list[str]) -> None:
    found = ta_paths(tas, ["sequential"])
    assert all(list(path.tas) == [name for name in tas if name in path.tas] for path in found)
    assert [len(path.tas) for path in found] == sorted(len(path.tas) for path in found)


def test_a_path_is_named_by_its_topology_and_tas() -> None:
    assert str(TAPath("dense", ("large", "small"))) == "dense: large > small"
    assert str(TAPath("direct", ())) == "direct: no TA"
