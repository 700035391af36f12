"""Every difficulty, its required evidence, and ranks and correlations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curricula import difficulty
from curricula.difficulty import DIFFICULTIES, Evidence, available, rank, score, spearman
from tests.curricula.examples import CLASSES, EXPERTS, IMAGES, evidence, seeds

OPTIONAL = ("fold_logits", "fold", "learned_step")


def direct_loss(logits: np.ndarray, label: int) -> float:
    return math.log(sum(math.exp(z) for z in logits)) - logits[label]


def disagreement(given: Evidence) -> np.ndarray:
    """A user-defined difficulty: total variation distance between the largest and the smallest expert."""
    small, large = (np.exp(difficulty.log_softmax(given.logits[expert])) for expert in (0, -1))
    return np.abs(small - large).sum(axis=1)


EVERY: list[Any] = [*DIFFICULTIES, disagreement]


@pytest.mark.parametrize("name", EVERY, ids=lambda scorer: getattr(scorer, "__name__", scorer))
class TestEveryDifficulty:
    def test_returns_one_finite_float64_an_image(self, name: str) -> None:
        scores = score(name, evidence())
        assert scores.shape == (IMAGES,)
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()

    def test_does_not_depend_on_the_other_images(self, name: str) -> None:
        whole = evidence()
        half = IMAGES // 2
        part = Evidence(
            whole.labels[:half],
            whole.logits[:, :half],  # type: ignore[call-overload]
            whole.fold_logits[:, :half],  # type: ignore[call-overload, index]
            whole.fold[:half],  # type: ignore[index]
            whole.learned_step[:half],  # type: ignore[index]
        )
        np.testing.assert_array_equal(score(name, part), score(name, whole)[:half])

    def test_does_not_depend_on_the_size_of_the_blocks(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        in_one = score(name, evidence())
        monkeypatch.setattr(difficulty, "_BLOCK", 3 * CLASSES)
        np.testing.assert_array_equal(score(name, evidence()), in_one)

    def test_leaves_the_evidence_as_it_was(self, name: str) -> None:
        given_evidence, same = evidence(), evidence()
        score(name, given_evidence)
        for field in ("labels", "logits", *OPTIONAL):
            np.testing.assert_array_equal(getattr(given_evidence, field), getattr(same, field))

    def test_accepts_huge_logits_and_half_precision(self, name: str) -> None:
        huge = (evidence().logits * np.float64(5000)).astype(np.float16)  # type: ignore[operator]
        assert np.isfinite(score(name, evidence(logits=huge))).all()

    def test_takes_a_sequence_of_arrays_for_the_ladder(self, name: str) -> None:
        whole = evidence()
        parts = evidence(logits=list(whole.logits), fold_logits=list(whole.fold_logits))  # type: ignore[arg-type]
        np.testing.assert_array_equal(score(name, parts), score(name, whole))

    def test_is_available_exactly_when_its_evidence_is_there(self, name: str) -> None:
        if name not in DIFFICULTIES:
            pytest.skip("a user-defined difficulty does not declare its evidence")
        nothing: dict[str, Any] = dict.fromkeys(OPTIONAL)
        bare = evidence(**nothing)
        if name in available(bare):
            score(name, bare)
        else:
            with pytest.raises(ValueError, match=rf"{name}.*missing.*set evidence\."):
                score(name, bare)


@pytest.mark.parametrize("name", ["expert_loss", "margin", "mean_loss", "held_out_loss"])
def test_raising_the_logit_of_the_label_makes_an_image_easier(name: str) -> None:
    before = evidence()
    easier: dict[str, Any] = {}
    for field in ("logits", "fold_logits"):
        easier[field] = np.array(getattr(before, field))
        easier[field][:, np.arange(IMAGES), before.labels] += 1
    assert (score(name, evidence(**easier)) < score(name, before)).all()


@pytest.mark.parametrize("name", ["expert_loss", "mean_loss", "held_out_loss"])
def test_losses_equal_the_cross_entropy_computed_directly(name: str) -> None:
    known = evidence()
    assert known.fold_logits is not None and known.fold is not None
    for i, found in enumerate(score(name, known)):
        expected = {
            "expert_loss": direct_loss(known.logits[EXPERTS - 1][i], known.labels[i]),
            "mean_loss": sum(direct_loss(known.logits[e][i], known.labels[i]) for e in range(EXPERTS)) / EXPERTS,
            "held_out_loss": direct_loss(known.fold_logits[known.fold[i]][i], known.labels[i]),
        }
        assert found == pytest.approx(expected[name])


def test_margin_is_the_best_wrong_probability_minus_that_of_the_label() -> None:
    logits = np.log([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]])
    np.testing.assert_allclose(difficulty.margin(logits, np.array([0, 1])), [-0.5, 0.5])


def test_entropy_is_in_nats_and_largest_for_equal_logits() -> None:
    logits = np.array([[0.0, 0.0, 0.0, 0.0], [9000.0, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(difficulty.entropy(logits, np.array([0, 0])), [math.log(4), 0.0])


def test_scores_that_are_not_finite_are_refused_with_the_image() -> None:
    logits = np.array(evidence().logits)
    logits[-1, 7] = np.nan
    with pytest.raises(ValueError, match=r"expert_loss.*1 of 40.*image 7"):
        score("expert_loss", evidence(logits=logits))


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        (lambda given: given.labels[:-1], "39 numbers for 40 images. Give one number an image"),
        (lambda given: given.logits[0], r"shape \(40, 5\). Give one number an image"),
        (lambda given: np.full(IMAGES, np.nan), "40 of 40 values are not finite"),
    ],
)
def test_a_user_defined_difficulty_that_ranks_nothing_is_refused(scorer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"difficulty '<lambda>': {message}"):
        score(scorer, evidence())


def test_unknown_difficulty_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"'expert_los' is unknown.*'expert_loss'"):
        score("expert_los", evidence())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("labels", np.full(IMAGES, CLASSES)),
        ("labels", np.zeros(IMAGES)),
        ("logits", np.zeros((EXPERTS, IMAGES - 1, CLASSES))),
        ("logits", np.zeros((IMAGES, CLASSES))),
        ("logits", []),
        ("fold_logits", None),
        ("fold", np.full(IMAGES, 99)),
        ("learned_step", np.zeros(3, dtype=np.int64)),
        ("image", np.zeros(3, dtype=np.int64)),
    ],
)
def test_evidence_that_does_not_go_together_is_refused_by_field(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"evidence\.{field}"):
        evidence(**{field: value})


def test_rank_is_the_position_in_a_stable_order() -> None:
    np.testing.assert_array_equal(rank(np.array([3.0, 1.0, 1.0, 2.0])), [0.75, 0.0, 0.25, 0.5])


def test_balanced_ranks_take_classes_in_turn_and_break_ties_by_difficulty_then_index() -> None:
    labels = np.array([0, 0, 1, 1])
    np.testing.assert_array_equal(rank(np.array([8.0, 9.0, 1.0, 2.0]), labels), [0.25, 0.75, 0.0, 0.5])
    np.testing.assert_array_equal(rank(np.array([1.0, 1.0, 1.0, 1.0]), labels), [0.0, 0.5, 0.25, 0.75])


def test_balanced_ranks_put_the_only_image_of_a_class_in_the_middle() -> None:
    labels = np.array([0, 0, 1, 0, 0])
    np.testing.assert_array_equal(rank(np.array([1.0, 2.0, 0.0, 3.0, 4.0]), labels), [0.0, 0.2, 0.4, 0.6, 0.8])


@given(seeds, st.integers(1, 60), st.integers(1, 5), st.booleans())
def test_ranks_are_a_strict_order_that_follows_difficulty_within_each_class(
    seed: int, images: int, classes: int, balanced: bool
) -> None:
    generator = np.random.default_rng(seed)
    difficulties = generator.integers(0, 5, images).astype(float)
    labels = generator.integers(0, classes, images) if balanced else np.zeros(images, dtype=int)
    ranks = rank(difficulties, labels if balanced else None)
    np.testing.assert_array_equal(np.sort(ranks), np.arange(images) / images)
    for label in range(classes):
        members = np.flatnonzero(labels == label)
        by_rank = members[np.argsort(ranks[members])]
        np.testing.assert_array_equal(by_rank, members[np.argsort(difficulties[members], kind="stable")])


@given(seeds, st.integers(1, 20), st.integers(1, 6), st.integers(0, 120))
def test_balanced_ranks_hold_every_class_in_its_share_among_the_easiest(
    seed: int, per_class: int, classes: int, count: int
) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(classes), per_class))
    ranks = rank(np.random.default_rng(seed).random(len(labels)), labels)
    easiest = labels[np.argsort(ranks)[:count]]
    frequency = np.bincount(easiest, minlength=classes)
    assert frequency.max() - frequency.min() <= 1


def test_rank_refuses_difficulties_that_are_not_finite() -> None:
    with pytest.raises(ValueError, match="difficulty: 1 of 2 values are not finite, the first at image 1"):
        rank(np.array([0.0, np.inf]))


@pytest.mark.parametrize(
    ("x", "y", "correlation"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 40], 1.0),
        ([1, 2, 3, 4], [8, 4, 2, 1], -1.0),
        # 1 - 6 * sum(d^2) / (n (n^2 - 1)) with d = (1, 1, 0, 0): 1 - 12 / 60.
        ([1, 2, 3, 4], [2, 1, 3, 4], 0.8),
        # Ranks (1.5, 1.5, 3) and (1, 2, 3): 1.5 / sqrt(1.5 * 2).
        ([5, 5, 9], [1, 2, 3], math.sqrt(3) / 2),
        # Ranks (1, 2.5, 2.5, 4) and (1, 3, 2, 4): 4.5 / sqrt(4.5 * 5).
        ([1, 2, 2, 3], [1, 3, 2, 4], 4.5 / math.sqrt(22.5)),
    ],
)
def test_spearman_returns_known_values(x: list[float], y: list[float], correlation: float) -> None:
    assert spearman(x, y) == pytest.approx(correlation)


def test_spearman_of_a_constant_is_not_a_number() -> None:
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))


@given(seeds, st.integers(2, 30))
def test_spearman_sees_only_the_order(seed: int, images: int) -> None:
    x, y = np.random.default_rng(seed).permutation(2 * images).reshape(2, images).astype(float)
    assert spearman(x, y) == pytest.approx(spearman(np.exp(x / images), y**3))
    assert spearman(x, -y) == pytest.approx(-spearman(x, y))


def test_spearman_refuses_different_lengths() -> None:
    with pytest.raises(ValueError, match="lengths 2 and 3"):
        spearman([1, 2], [1, 2, 3])
