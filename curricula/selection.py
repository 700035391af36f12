"""Selection: every image gets exactly one expert, chosen by how hard the image is.

Experts are numbered from the smallest, 0, to the largest, E - 1, the teacher. A selector takes the difficulty ranks and
gives a `Selection`: the ranks of the curriculum's order and the expert of each image.

`random` and `reversed` are controls. They deal the pairs (rank, expert) of another selector, their base, to other
images. The pairs stay the same, so at every progress, in every mode, a control uses each expert exactly as often as its
base does; only the tie between an image and its pair is cut. What the base gains over `random` is what difficulty is
worth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curricula.checks import FRACTION_TOLERANCE, Array, FloatArray, IntArray, integers, number, numbers, unknown_name
from curricula.difficulty import Evidence, by_class, by_rows, log_softmax


class Selection(NamedTuple):
    """ranks float64 (N,) in [0, 1), all distinct, 0 the easiest; experts int64 (N,) in [0, E)."""

    ranks: FloatArray
    experts: IntArray


@dataclass(frozen=True, eq=False)
class Settings:
    """What selectors may use besides the ranks; each says in its docstring what it uses. See `select`."""

    evidence: Evidence | None = None
    confidence: float = 0.5
    fractions: Sequence[float] | None = None
    labels: npt.ArrayLike | None = None
    seed: int = 0
    base: str = "stratified"


Selector = Callable[[FloatArray, int, Settings], Selection]


def strata(ranks: FloatArray, expert_count: int, fractions: Sequence[float] | None = None) -> IntArray:
    """The stratum of each image: ranks (N,) in [0, 1) -> int64 (N,) in [0, expert_count), a harder image never lower.

    By default the slices are equal, floor(rank * expert_count), and sizes differ by one image at most. `fractions`
    gives the share of each stratum instead, easiest first. ValueError unless they are expert_count numbers, none
    negative, of sum 1.
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
    """Expert s teaches stratum s: the easiest images go to the smallest. Uses `fractions`, see `strata`."""
    return Selection(ranks, strata(ranks, expert_count, settings.fractions))


def competent(ranks: FloatArray, expert_count: int, settings: Settings) -> Selection:
    """The smallest expert that is right and gives the label at least `confidence`; where none does, the largest.

    Right means that no class has a larger probability than the label. Uses `evidence` and `confidence`, in [0, 1].
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

    def is_competent(logits: Array, labels: IntArray) -> Array:
        log_probability = log_softmax(logits)
        of_label = log_probability[np.arange(len(labels)), labels]
        return (of_label == log_probability.max(axis=1)) & (np.exp(of_label) >= confidence)

    experts = np.full(len(ranks), expert_count - 1, dtype=np.int64)
    for expert in reversed(range(expert_count)):
        experts[by_rows(is_competent, evidence.logits[expert], evidence.labels) > 0] = expert
    return Selection(ranks, experts)


def randomly_dealt(ranks: FloatArray, expert_count: int, settings: Settings) -> Selection:
    """Control: the pairs of the base go to images at random. Uses `seed`, `base`, `labels` and what the base uses."""
    generator = np.random.Generator(np.random.Philox(settings.seed))
    return _deal(ranks, expert_count, settings, generator.permutation)


def reversely_dealt(ranks: FloatArray, expert_count: int, settings: Settings) -> Selection:
    """Control: the k-th easiest image gets the pair of the k-th hardest. Uses `base`, `labels` as `random` does."""
    return _deal(ranks, expert_count, settings, np.flip)


CONTROLS: dict[str, Selector] = {"random": randomly_dealt, "reversed": reversely_dealt}
SELECTORS: dict[str, Selector] = {"stratified": stratified, "competent": competent, **CONTROLS}


def _deal(
    ranks: FloatArray, expert_count: int, settings: Settings, rearrange: Callable[[IntArray], IntArray]
) -> Selection:
    if settings.base not in SELECTORS:
        raise unknown_name("base", settings.base, SELECTORS.keys() - CONTROLS.keys())
    if settings.base in CONTROLS:
        raise ValueError(
            f"base: {settings.base!r} is itself a control. Give the selector that it should be held against."
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
) -> Selection:
    """The selection of that name for N images: ranks (N,), as `difficulty.rank` makes them, and one expert an image.

    evidence and confidence are for `competent`; fractions, the share of each stratum, for `stratified`; seed for
    `random`; base, the selector whose pairs are dealt, for `random` and `reversed`. With labels, integers (N,), the two
    controls deal within each class. What a selector does not use is ignored.

    ValueError on an unknown name, on ranks that are not distinct numbers in [0, 1), and as in each selector.
    """
    if name not in SELECTORS:
        raise unknown_name("selector", name, SELECTORS)
    if expert_count < 1:
        raise ValueError(f"expert_count: {expert_count}. Give at least one expert.")
    ranks = numbers("ranks", ranks)
    if len(np.unique(ranks)) != len(ranks) or not np.all((ranks >= 0) & (ranks < 1)):
        raise ValueError("ranks: not distinct numbers in [0, 1). Make them with curricula.difficulty.rank.")
    return SELECTORS[name](ranks, expert_count, Settings(evidence, confidence, fractions, labels, seed, base))
