"""Difficulty: one number for each training image, larger for a harder one, and the rank that a curriculum uses.

"Hard" has no agreed definition, so each score is a choice to be compared with the others (``spearman``) and with
controls. Beware: **the loss of a network that has memorised its training set does not rank images.** All its losses are
near zero, and their order is noise. The same holds for its margin and its entropy. On images that an expert was trained
on, use ``held_out_loss`` (every image scored by a network that did not see it) or ``learned_step`` (the step at which
its prediction settled), unless the expert's training accuracy is well below one.

Logits are (N, C), one row an image, of any floating type; scores are computed in float64, a block of rows at a time, so
half-precision memory maps of large data sets need no copy in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curricula.checks import Array, FloatArray, IntArray, integers, numbers, unknown_name

_BLOCK = 1 << 22  # logits turned to float64 at a time: 32 MiB


def log_softmax(logits: Array) -> FloatArray:
    """Returns the logarithm of the softmax over the last axis, (..., C) -> float64 (..., C), without overflow."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def by_rows(function: Callable[[Array, IntArray], Array], logits: Array, labels: npt.ArrayLike) -> FloatArray:
    """Applies ``function(logits, labels)``, (n, C), (n,) -> (n,), to blocks of rows: (N, C), (N,) -> float64 (N,).

    Raises:
        ValueError: unless logits is (N, C) with at least two classes, and labels is integers (N,) in [0, C).
    """
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(f"logits: shape {logits.shape}. Give (N, C), one row an image, at least two classes.")
    labels = integers("labels", labels, *logits.shape)
    result = np.empty(len(labels), dtype=np.float64)
    rows = max(1, _BLOCK // logits.shape[1])
    for start in range(0, len(labels), rows):
        block = slice(start, start + rows)
        result[block] = function(logits[block], labels[block])
    return result


def expert_loss(logits: Array, labels: npt.ArrayLike) -> FloatArray:
    """Cross-entropy, in nats, of one expert: (N, C), (N,) -> (N,). Errors as in ``by_rows``."""
    return by_rows(lambda z, y: -log_softmax(z)[np.arange(len(y)), y], logits, labels)


def margin(logits: Array, labels: npt.ArrayLike) -> FloatArray:
    """Largest probability of a wrong class minus that of the label, in [-1, 1]: (N, C), (N,) -> (N,).

    The negative of the probability margin, so that a harder image has the larger number. Errors as in ``by_rows``.
    """

    def rows(z: Array, y: IntArray) -> FloatArray:
        probability = np.exp(log_softmax(z))
        image = np.arange(len(y))
        of_label = probability[image, y]
        probability[image, y] = -np.inf
        return probability.max(axis=1) - of_label

    return by_rows(rows, logits, labels)


def entropy(logits: Array, labels: npt.ArrayLike) -> FloatArray:
    """Shannon entropy, in nats, of the softmax; labels are ignored: (N, C), (N,) -> (N,). Errors as in ``by_rows``."""

    def rows(z: Array, _: IntArray) -> FloatArray:
        log_probability = log_softmax(z)
        return -(np.exp(log_probability) * log_probability).sum(axis=1)

    return by_rows(rows, logits, labels)


def mean_ladder_loss(logits: Sequence[Array] | Array, labels: npt.ArrayLike) -> FloatArray:
    """Mean over all experts of the cross-entropy, in nats: (E, N, C), (N,) -> (N,). Errors as in ``by_rows``."""
    return np.mean([expert_loss(of_expert, labels) for of_expert in logits], axis=0)


def held_out_loss(logits: Sequence[Array] | Array, labels: npt.ArrayLike, fold: npt.ArrayLike) -> FloatArray:
    """Cross-entropy, in nats, under the network that did not see the image: (F, N, C), (N,), (N,) -> (N,).

    Network f is the one trained without the images of fold f, so image i is judged by network fold[i] (k-fold
    cross-fitting).

    Raises:
        ValueError: for a fold that is not in [0, F), and as ``by_rows``.
    """
    shape = np.shape(logits[0])
    labels = integers("labels", labels, *shape)
    fold = integers("fold", fold, len(labels), len(logits))
    result = np.empty(len(labels), dtype=np.float64)
    for number, of_network in enumerate(logits):
        unseen = np.flatnonzero(fold == number)
        result[unseen] = expert_loss(of_network[unseen], labels[unseen])
    return result


class LearnedStepRecorder:
    """Records, for each of N images, the first step from which on its prediction is right at every record.

    This is the "iteration learned" score of Toneva et al. (ICLR 2019) and of Wu, Dyer, Neyshabur (ICLR 2021). An image
    that is wrong at the last record counts as learned one step after the last record.
    """

    def __init__(self, image_count: int) -> None:
        # Right since step s: s. Wrong at the last record, at step s: ~(s + 1), negative. So N integers hold everything.
        self._state: IntArray = np.full(image_count, ~0, dtype=np.int64)

    def update(self, step: int, correct: npt.ArrayLike) -> None:
        """Record at ``step`` which predictions are right, bool (N,).

        Raises:
            ValueError: when the step is not later than those recorded, or ``correct`` is not N booleans.
        """
        correct = np.asarray(correct)
        if correct.shape != self._state.shape or correct.dtype != np.bool_:
            raise ValueError(
                f"correct: {correct.dtype} {correct.shape}. Give one boolean an image, bool {self._state.shape}."
            )
        last = int(np.where(self._state < 0, ~self._state - 1, self._state).max(initial=-1))
        if step <= last:
            raise ValueError(f"step: {step} is not later than step {last}, already recorded. Record in order.")
        since = np.where(self._state < 0, step, self._state)
        self._state = np.where(correct, since, ~(step + 1)).astype(np.int64)

    def learned_step(self) -> IntArray:
        """Returns the learned step of each image so far, int64 (N,); 0 for all before the first record."""
        return np.where(self._state < 0, ~self._state, self._state)

    def state(self) -> IntArray:
        """Returns everything recorded, int64 (N,), for a checkpoint."""
        return self._state.copy()

    @classmethod
    def from_state(cls, state: npt.ArrayLike) -> LearnedStepRecorder:
        """Returns a recorder that continues from what ``state()`` returned.

        Raises:
            ValueError: unless it is integers (N,).
        """
        recorder = cls(0)
        recorder._state = integers("state", state, np.size(state))
        return recorder


@dataclass(frozen=True, eq=False)
class Evidence:
    """Outputs of networks on N training images of C classes: the input of every difficulty.

    Attributes:
        labels: integers (N,).
        logits: (E, N, C), an array or a sequence of E arrays (N, C), the smallest expert first, the teacher last.
        fold_logits: (F, N, C), see ``held_out_loss``.
        fold: (N,), see ``held_out_loss``.
        learned_step: (N,), see ``LearnedStepRecorder``.
        image: (N,), each image's number in the data set.

    Raises:
        ValueError: naming the field, when shapes do not match.
    """

    labels: IntArray
    logits: Sequence[Array] | Array
    fold_logits: Sequence[Array] | Array | None = None
    fold: IntArray | None = None
    learned_step: IntArray | None = None
    image: IntArray | None = None

    def __post_init__(self) -> None:
        if (self.fold_logits is None) != (self.fold is None):
            raise ValueError("evidence.fold_logits and evidence.fold belong together. Give both or neither.")
        class_count = self._class_count("logits", self.logits)
        integers("evidence.labels", self.labels, len(self.labels), class_count)
        if self.fold_logits is not None and self.fold is not None:
            self._class_count("fold_logits", self.fold_logits)
            integers("evidence.fold", self.fold, len(self.labels), len(self.fold_logits))
        for field in ("learned_step", "image"):
            if getattr(self, field) is not None:
                integers(f"evidence.{field}", getattr(self, field), len(self.labels))

    def _class_count(self, field: str, logits: Sequence[Array] | Array) -> int:
        shapes = {np.shape(of_network) for of_network in logits}
        shape = next(iter(shapes), ())
        if len(shapes) != 1 or len(shape) != 2 or shape[0] != len(self.labels) or shape[1] < 2:
            raise ValueError(
                f"evidence.{field}: {len(logits)} networks with logits of shape {sorted(shapes)}. "
                f"Give each network's as ({len(self.labels)}, C), with one C of at least two classes."
            )
        return shape[1]

    @property
    def teacher_logits(self) -> Array:
        """The teacher's logits, (N, C)."""
        return self.logits[-1]


UserScorer = Callable[[Evidence], npt.ArrayLike]
"""A user-defined difficulty: an ``Evidence`` of N images -> one finite number an image, (N,), larger = harder."""

_HOW_TO_GET = {
    "fold_logits": "the logits of k networks, each trained without one fold of the images",
    "fold": "the fold of each image",
    "learned_step": "LearnedStepRecorder.learned_step(), recorded while an expert trains",
}


@dataclass(frozen=True)
class Difficulty:
    """A named score: called with an ``Evidence``, it returns float64 (N,), larger = harder.

    Calling raises ValueError when a needed field is missing, and when a score is not finite.

    Attributes:
        needs: the fields of the evidence that are passed to ``compute``, in order.
    """

    name: str
    compute: Callable[..., npt.ArrayLike]
    needs: tuple[str, ...]

    def missing(self, evidence: Evidence) -> list[str]:
        """Returns the needed fields that ``evidence`` lacks."""
        return [field for field in self.needs if getattr(evidence, field) is None]

    def __call__(self, evidence: Evidence) -> FloatArray:
        if missing := self.missing(evidence):
            ways = "; ".join(f"set evidence.{field} to {_HOW_TO_GET[field]}" for field in missing)
            raise ValueError(f"difficulty {self.name!r}: {' and '.join(missing)} missing from the evidence: {ways}.")
        return numbers(f"difficulty {self.name!r}", self.compute(*(getattr(evidence, field) for field in self.needs)))


DIFFICULTIES: dict[str, Difficulty] = {
    difficulty.name: difficulty
    for difficulty in (
        Difficulty("expert_loss", expert_loss, ("teacher_logits", "labels")),
        Difficulty("margin", margin, ("teacher_logits", "labels")),
        Difficulty("entropy", entropy, ("teacher_logits", "labels")),
        Difficulty("mean_loss", mean_ladder_loss, ("logits", "labels")),
        Difficulty("held_out_loss", held_out_loss, ("fold_logits", "labels", "fold")),
        Difficulty("learned_step", np.asarray, ("learned_step",)),
    )
}


def score(scorer: str | UserScorer, evidence: Evidence) -> FloatArray:
    """Returns the difficulty of each image, float64 (N,).

    Args:
        scorer: a registered name, or a user-defined function.
        evidence: the outputs that it is computed from.

    Raises:
        ValueError: for an unknown name, unless a user-defined function returns one finite number an image, and as
            ``Difficulty``.
    """
    if isinstance(scorer, str):
        if scorer not in DIFFICULTIES:
            raise unknown_name("difficulty", scorer, DIFFICULTIES)
        return DIFFICULTIES[scorer](evidence)
    name = f"difficulty {getattr(scorer, '__name__', repr(scorer))!r}"
    scores = numbers(name, scorer(evidence))
    if len(scores) != len(evidence.labels):
        raise ValueError(f"{name}: {len(scores)} numbers for {len(evidence.labels)} images. Give one number an image.")
    return scores


def available(evidence: Evidence) -> list[str]:
    """Returns the names of the difficulties that can be computed from this evidence, in the registry's order."""
    return [name for name, difficulty in DIFFICULTIES.items() if not difficulty.missing(evidence)]


def by_class(order: IntArray, labels: IntArray) -> list[IntArray]:
    """``order``, image indices (N,), cut into one array a class, each in its old order; labels integers (N,)."""
    grouped = order[np.argsort(labels[order], kind="stable")]
    return np.split(grouped, np.flatnonzero(np.diff(labels[grouped])) + 1)


def rank(difficulty: npt.ArrayLike, labels: npt.ArrayLike | None = None) -> FloatArray:
    """Returns ranks in [0, 1), 0 the easiest, all distinct: difficulty (N,) -> float64 (N,), a permutation of k / N.

    Images are sorted by difficulty; equal ones keep the order of their index.

    With ``labels``, integers (N,), the ranks are balanced by class: images are ranked within their class first, and
    image k of n in its class (k = 0 the easiest) sorts at (k + 1/2) / n. So every slice of the ranks holds each class
    in its share, up to about one image at either end where classes are of like size. Images of different classes that
    sort at the same place are taken by difficulty, then by index: ranks stay a strict order, which ``selection`` relies
    on.

    Raises:
        ValueError: when a difficulty is not finite, or the labels do not match it.
    """
    difficulty = numbers("difficulty", difficulty)
    image_count = len(difficulty)
    order = np.argsort(difficulty, kind="stable").astype(np.int64)
    if labels is not None:
        labels = integers("labels", labels, image_count)
        place = np.empty(image_count, dtype=np.float64)
        for members in by_class(order, labels):
            place[members] = (2 * np.arange(len(members)) + 1) / (2 * len(members))
        order = order[np.argsort(place[order], kind="stable")]
    ranks = np.empty(image_count, dtype=np.float64)
    ranks[order] = np.arange(image_count) / image_count
    return ranks


def spearman(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Returns Spearman's rank correlation in [-1, 1] of two (N,) arrays: Pearson's of their ranks, ties averaged.

    NaN if either is constant, where it is not defined.

    Raises:
        ValueError: for different lengths, and for values that are not finite.
    """
    x, y = numbers("x", x), numbers("y", y)
    if len(x) != len(y):
        raise ValueError(f"x, y: lengths {len(x)} and {len(y)}. Give one value an image in both.")
    of_x, of_y = (ranks - ranks.mean() for ranks in (_average_ranks(x), _average_ranks(y)))
    scale = float(np.sqrt((of_x**2).sum() * (of_y**2).sum()))
    return float((of_x * of_y).sum()) / scale if scale else float("nan")


def _average_ranks(values: FloatArray) -> FloatArray:
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(size) - (size + 1) / 2)[group]
