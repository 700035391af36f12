"""Checks of a recipe's methods against its ladder and its selectors. Imports neither torch nor ray."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from curricula.selection import ONLINE
from orchestrator.recipe.choices import Selector
from orchestrator.recipe.messages import nearest
from orchestrator.recipe.methods import EVERY_EXPERT, method_of, methods_of_experts
from orchestrator.recipe.topologies import INDEPENDENT, Topology

MOST_EXPERTS = 8  # that a search may choose among: 255 subsets


def with_every_expert(methods: Sequence[str], experts: Sequence[str]) -> tuple[str, ...]:
    """Returns the methods with ``kd:*`` replaced by that of each expert that is not named already.

    Raises:
        ValueError: for the method of an expert that the ladder does not have, naming those that it has.
    """
    every = methods_of_experts(experts)
    found: list[str] = []
    for name in methods:
        if name == EVERY_EXPERT:
            found += [method for method in every if method not in methods]
            continue
        expert = method_of(name).expert
        if expert and expert not in experts:
            raise ValueError(
                f"{name} names no expert of the ladder{nearest(name, every)}; there are {', '.join(every)}, and "
                f"{EVERY_EXPERT} for all of them"
            )
        found.append(name)
    return tuple(found)


def check_selectors(
    methods: Sequence[str], selector: Selector, space: Sequence[Selector], searched: Collection[str]
) -> None:
    """Check that no method deals out to other images what a selector chooses only during training.

    Args:
        methods: the recipe's.
        selector: that of curricula that no search chooses.
        space: those that a search may choose.
        searched: methods that have a search.

    Raises:
        ValueError: naming the methods and the field.
    """
    dealt = [method for name in methods if (method := method_of(name)).dealing not in (None, "none")]
    for method in dealt:
        chosen_by_search = method.searched_as in searched
        bad = [it for it in (space if chosen_by_search else (selector,)) if it in ONLINE]
        if bad:
            field = "search.space.selectors" if chosen_by_search else "curriculum.selector"
            raise ValueError(
                f"methods has {method.name}, which gives the experts of {method.control_of} to other images, but "
                f"{field} has {bad[0]}, which chooses experts during training by the student's own predictions, so "
                f"that there are none to give before; leave out one of the two"
            )


def check_choice_of_experts(topology: Topology, experts: int, selectors: Collection[str]) -> None:
    """Check that a search may choose which of so many experts of a topology teach, beside these selectors.

    Of one expert there is nothing to choose, which is no mistake.

    Raises:
        ValueError: naming the fields.
    """
    if experts == 1:
        return
    if topology not in INDEPENDENT:
        raise ValueError(
            f"search.space.experts is any but ladder.topology is {topology}, where a subset of the experts would need "
            f"other TAs; set ladder.topology to {' or '.join(sorted(INDEPENDENT))}, or leave search.space.experts out "
            "(python -m orchestrator.paths compares TA paths of every topology)"
        )
    if experts > MOST_EXPERTS:
        raise ValueError(
            f"search.space.experts is any and the ladder has {experts} experts, {2**experts - 1:,} subsets; give a "
            f"ladder of at most {MOST_EXPERTS}, or leave the field out"
        )
    if "table" in selectors:
        raise ValueError(
            "search.space.experts is any and search.space.selectors has table, which chooses the experts already; "
            "leave one of the two out"
        )
