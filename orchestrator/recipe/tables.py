"""Checks of a recipe's tables, which name an expert for each stratum. Imports neither torch nor ray."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.recipe.search_space import SpaceSpec


def check_tables(selector: str, table: Sequence[str], space: SpaceSpec, experts: Sequence[str]) -> None:
    """Checks ``curriculum.table`` and ``search.space.table`` against the ladder's experts, smallest first.

    Raises:
        ValueError: when one names no expert, or does not belong to its selector.
    """
    listed = ", ".join(experts)
    for field, names in (("curriculum.table", table), ("search.space.table", space.table or ())):
        if unknown := [name for name in names if name not in experts]:
            raise ValueError(f"{field} has {', '.join(unknown)}, which is no expert of the ladder; they are {listed}")
    if selector == "table" and len(table) != len(experts):
        raise ValueError(
            f"curriculum.selector is table, but curriculum.table has {len(table)} entries; name the expert of each of "
            f"{len(experts)} strata, the easiest first. The experts, smallest first: {listed}"
        )
    if table and selector != "table":
        raise ValueError(
            f"curriculum.table is set, but curriculum.selector is {selector}; set it to table, or leave the table out"
        )
    if space.table and "table" not in space.selectors:
        raise ValueError(
            f"search.space.table is set, but search.space.selectors has {', '.join(space.selectors)} alone; add table, "
            "or leave search.space.table out"
        )
