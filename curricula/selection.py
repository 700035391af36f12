"""Selection: every image gets exactly one expert, chosen by how hard the image is.

Experts are numbered from the smallest, 0, to the largest, E - 1, the teacher. A selector maps the difficulty ranks to a
``Selection``: the ranks of the curriculum's order and the expert of each image.

``random`` and ``reversed`` are controls. They assign the pairs (rank, expert) of another selector, their base, to other
images. The pairs stay the same, so at every progress, in every mode, a control uses each expert exactly as often as its
base does; only the assignment of pairs to images differs. The gain of the base over ``random`` is the value of the
difficulty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curricula.checks import FRACTION_TOLERANCE, FloatArray, IntArray, integers, number, numbers, unknown_name
from curricula.difficulty import Evidence, by_class
from curricula.readiness import confidence_if_right


class Selection(NamedTuple):
    """ranks float64 (N,) in [0, 1), all distinct, 0 the easiest; experts int64 (N,) in [0, E)."""

    ranks: FloatArray
    experts: IntArray


@dataclass(frozen=True, eq=False)
class Settings:
    """Arguments of selectors besides the ranks; each selector's docstring names those that it uses. See ``select``."""

    evidence: Evidence | None = None
    confidence: float = 0.5
    fractions: Sequence[float] | None = None
    labels: npt.ArrayLike | None = None
    seed: int = 0
    base: str = "stratified"
    table: Sequence[int] | None = None


Selector = Callable[[FloatArray, int, Settings], Selection]


def strata(ranks: FloatArray, expert_count: int, fractions: Sequence[float] | None = None) -> IntArray:
    """Returns the stratum (difficulty bin) of each image: ranks (N,) in [0, 1) -> int64 (N,) in [0, expert_count).

    By default the bins are equal, floor(rank * expert_count), and sizes differ by one image at most.

    Args:
        fractions: the share of each stratum instead, easiest first.

    Raises:
        ValueError: unless the fractions are expert_count numbers, none negative, of sum 1.
    """
    if fractions is None:
        upper = np.arange(1, expert_count) / expert_count
    else:
        shares = np.array([number("fractions", share) for share in fractions])
        if len(shares) != expert_count or (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
            raise ValueError(
                f"fractions: {list(fractions)}. Give {expert_count} shares, one an expert, none negative, of sum 1."
            )
        upper = np.cumsum(shares)[:-1]
    return np.searchsorted(upper, ranks + FRACTION_TOLERANCE, side="right").astype(np.int64)


def stratified(ranks: FloatArray, expert_count: int, settings: Settings) -> Selection:
    """Expert s teaches stratum s, so the smallest teaches the easiest images. Uses ``fractions``, see ``strata``."""
    return Selection(ranks, strata(ranks, expert_count, settings.fractions))


def tabulated(ranks: FloatArray, expert_count: int, settings: Settings) -> Selection:
    """Expert table[s] teaches stratum s, of equal strata; 0, 1, 2, ... is ``stratified``. Uses ``table``."""
    table = settings.table
    if table is None:
        raise ValueError("selector 'table': table is missing. Give the expert of each stratum, the easiest first.")
    if len(table) != expert_count or not all(expert in range(expert_count) for expert in table):
        raise ValueError(
            f"table: {list(table)}. Give one expert for each of {expert_count} strata, in [0, {expert_count - 1}]."
        )
    return Selection(ranks, np.array(table, dtype=np.int64)[strata(ranks, expert_count)])


def competent(ranks: FloatArray, expert_count: int, settings: Settings) -> Selection:
    """The smallest expert that is right with a probability of at least ``confidence``; if there is none, the largest.

    Right is as in ``readiness.confidence_if_right``. Uses ``evidence`` and ``confidence``, in [0, 1].
    """
    confidence = number("confidence", settings.confidence)
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence: {confidence} is not in [0, 1]. Give a probability of the label.")
    evidence = settings.evidence
    if evidence is None:
        raise ValueError("selector 'competent': evidence is missing. Set it to the labels and every expert's logits.")
    if len(evidence.logits) != expert_count or len(evidence.labels) != len(ranks):
        raise ValueError(
            f"evidence: {len(evidence.logits)} experts and {len(evidence.labels)} images, but the selection is for "
            f"{expert_count} experts and {len(ranks)} images. Give the logits of exactly these."
        )

    experts = np.full(len(ranks), expert_count - 1, dtype=np.int64)
    for expert in reversed(range(expert_count)):
        experts[confidence_if_right(evidence.logits[expert], evidence.labels) >= confidence] = expert
    return Selection(ranks, experts)


def randomly_dealt(ranks: FloatArray, expert_count: int, settings: Settings) -> Selection:
    """Control: the base's pairs, assigned at random. Uses ``seed``, ``base``, ``labels`` and the base's arguments."""
    generator = np.random.Generator(np.random.Philox(settings.seed))
    return _deal(ranks, expert_count, settings, generator.permutation)


def reversely_dealt(ranks: FloatArray, expert_count: int, settings: Settings) -> Selection:
    """Control: the k-th easiest image has the pair of the k-th hardest. Uses ``base`` and ``labels`` as ``random``."""
    return _deal(ranks, expert_count, settings, np.flip)


def unseen(ranks: FloatArray, expert_count: int, settings: Settings) -> Selection:
    """The smallest expert for all: the choice of ``ready`` for a student that has seen no image; see ``readiness``."""
    return Selection(ranks, np.zeros(len(ranks), dtype=np.int64))


CONTROLS: dict[str, Selector] = {"random": randomly_dealt, "reversed": reversely_dealt}
SELECTORS: dict[str, Selector] = {
    "stratified": stratified, "competent": competent, "ready": unseen, "table": tabulated, **CONTROLS,
}  # fmt: skip
ONLINE = ("ready",)  # selectors whose experts are chosen during training, by the student's own predictions


def _deal(
    ranks: FloatArray, expert_count: int, settings: Settings, rearrange: Callable[[IntArray], IntArray]
) -> Selection:
    if settings.base not in SELECTORS:
        raise unknown_name("base", settings.base, SELECTORS.keys() - CONTROLS.keys())
    if settings.base in CONTROLS:
        raise ValueError(
            f"base: {settings.base!r} is itself a control. Give the selector that it should be held against."
        )
    if settings.base in ONLINE:
        raise ValueError(
            f"base: {settings.base!r} chooses experts during training, so there are no pairs to assign before it. "
            "Give another selector."
        )
    base = SELECTORS[settings.base](ranks, expert_count, settings)
    order = np.argsort(base.ranks, kind="stable").astype(np.int64)
    giver = np.empty_like(order)
    if settings.labels is None:
        giver[order] = rearrange(order)
    else:
        labels = integers("labels", settings.labels, len(ranks))
        for members in by_class(order, labels):
            giver[members] = rearrange(members)
    return Selection(base.ranks[giver], base.experts[giver])


def select(
    name: str,
    ranks: npt.ArrayLike,
    expert_count: int,
    *,
    evidence: Evidence | None = None,
    confidence: float = 0.5,
    fractions: Sequence[float] | None = None,
    labels: npt.ArrayLike | None = None,
    seed: int = 0,
    base: str = "stratified",
    table: Sequence[int] | None = None,
) -> Selection:
    """Returns a selector's ranks (N,) and experts (N,). Arguments that the selector does not use are ignored.

    Args:
        name: one of ``SELECTORS``.
        ranks: (N,), as ``difficulty.rank`` returns them.
        expert_count: the number of experts.
        evidence: for ``competent``: the experts' logits and the labels.
        confidence: for ``competent``: the probability of the label from which on an expert is competent.
        fractions: for ``stratified``: the share of each stratum.
        labels: integers (N,); with them the two controls assign pairs within each class.
        seed: for ``random``.
        base: for ``random`` and ``reversed``: the selector whose pairs are assigned.
        table: for ``table``: the expert of each stratum, in [0, expert_count), the easiest stratum first.

    Raises:
        ValueError: for an unknown name, for ranks that are not distinct numbers in [0, 1), and as each selector.
    """
    if name not in SELECTORS:
        raise unknown_name("selector", name, SELECTORS)
    if expert_count < 1:
        raise ValueError(f"expert_count: {expert_count}. Give at least one expert.")
    ranks = numbers("ranks", ranks)
    if len(np.unique(ranks)) != len(ranks) or not np.all((ranks >= 0) & (ranks < 1)):
        raise ValueError("ranks: not distinct numbers in [0, 1). Make them with curricula.difficulty.rank.")
    return SELECTORS[name](ranks, expert_count, Settings(evidence, confidence, fractions, labels, seed, base, table))
