"""The rule of the selector ``ready``: the expert of an image by the student's last prediction of it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curricula.curriculum import Curriculum
from curricula.difficulty import Evidence
from curricula.pacing import make
from curricula.readiness import UNSEEN, WRONG, Readiness
from curricula.selection import select
from tests.curricula.examples import EXPERTS, IMAGES, evidence, random_ranks, seeds

EVERY = np.arange(IMAGES)


def student(seed: int) -> np.ndarray:
    """A student's probabilities of the labels, some of which it has not predicted yet."""
    generator = np.random.default_rng(seed)
    seen = generator.random(IMAGES) < 0.8
    return np.where(seen, generator.random(IMAGES), UNSEEN).astype(np.float32)


def test_confidence_is_the_probability_of_the_label_of_an_expert_that_is_right() -> None:
    third = np.log([[0.5, 0.3, 0.2]] * 3)
    known = Evidence(labels=np.array([0, 1, 2]), logits=[third, third[:, ::-1]])
    expected = [[0.5, WRONG, WRONG], [WRONG, WRONG, 0.5]]
    np.testing.assert_allclose(Readiness.of(known).confidence, expected, rtol=1e-6)


def test_an_image_has_the_smallest_expert_that_is_surer_than_the_student_else_the_largest() -> None:
    it = Readiness(np.array([[0.6, WRONG, 0.3], [0.9, 0.7, WRONG], [0.8, 0.9, 0.4]], np.float32))
    for now, expected in (
        ([0.0, 0.0, 0.0], [0, 1, 0]),
        ([0.6, 0.7, 0.3], [1, 2, 2]),  # as sure is not surer
        ([0.85, 0.95, 0.9], [1, 2, 2]),
        ([UNSEEN, UNSEEN, UNSEEN], [0, 0, 0]),
    ):
        assert it.experts(np.arange(3), np.array(now, np.float32)).tolist() == expected


@given(seeds)
def test_the_choice_is_that_of_the_rule_written_out(seed: int) -> None:
    known, now = evidence(seed), student(seed)
    found = Readiness.of(known).experts(EVERY, now)
    for image, picked in enumerate(found):
        fits = []
        for expert in range(EXPERTS):
            probability = np.exp(known.logits[expert][image]) / np.exp(known.logits[expert][image]).sum()
            of_label = np.float32(probability[known.labels[image]])
            fits.append(bool(probability.argmax() == known.labels[image] and of_label > now[image]))
        expected = fits.index(True) if any(fits) else EXPERTS - 1
        assert picked == (0 if now[image] == UNSEEN else expected)


@given(seeds, st.data())
def test_a_student_that_grows_surer_never_falls_back_to_a_smaller_expert(seed: int, data: st.DataObject) -> None:
    it, now = Readiness.of(evidence(seed)), student(seed)
    rise = np.float32(data.draw(st.floats(0, 1, width=32)))
    surer = np.where(now == UNSEEN, rise, np.minimum(1, now + rise)).astype(np.float32)
    assert (it.experts(EVERY, surer) >= it.experts(EVERY, now)).all()


@given(seeds)
def test_images_are_judged_by_their_numbers(seed: int) -> None:
    it, now = Readiness.of(evidence(seed)), student(seed)
    some = np.random.default_rng(seed).permutation(IMAGES)[:7]
    np.testing.assert_array_equal(it.experts(some, now[some]), it.experts(EVERY, now)[some])


def test_a_curriculum_promotes_it_no_further_than_the_experts_that_are_open() -> None:
    chosen = select("ready", random_ranks(0, IMAGES), EXPERTS)
    known = Readiness.of(evidence())
    it = Curriculum(chosen, make("linear", 1.0, 0.001), "promote", EXPERTS, known)
    now = student(1)
    for progress, limit in ((0.0, 0), (0.5, 1), (1.0, 2)):
        wanted = np.minimum(known.experts(EVERY, now), limit)
        np.testing.assert_array_equal(it.experts_of(EVERY, progress, now), wanted)


def test_a_curriculum_of_a_student_that_has_seen_nothing_has_the_smallest_expert_for_all() -> None:
    chosen = select("ready", random_ranks(0, IMAGES), EXPERTS)
    it = Curriculum(chosen, make("linear", 0.5, 0.2), "static", EXPERTS, Readiness.of(evidence()))
    unseen = np.full(IMAGES, UNSEEN, np.float32)
    np.testing.assert_array_equal(it.experts_of(EVERY, 0.0, unseen), it.experts_at(0.0))
