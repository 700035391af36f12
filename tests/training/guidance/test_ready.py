"""Teaching by the selector ``ready``: each image's expert follows from the student's last prediction of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from curricula.readiness import UNSEEN
from orchestrator.training.guidance.experts import Shown
from orchestrator.training.guidance.kinds import new_teaching
from orchestrator.training.guidance.kinds.selected import Selected
from tests.training.examples import (
    CLASSES,
    LADDER,
    PASS,
    TRAINING_IMAGES,
    curriculum_of,
    data,
    experts_of,
    learn,
    pacing,
    teaching,
    training,
)

NUMBERS = np.array([8, 90, 3, 41, 42, 0, 17])
EVERY = np.arange(TRAINING_IMAGES)


def ready(source: str = "online", mode: str = "static", experts: tuple[str, ...] = tuple(LADDER)) -> Selected:
    spec = teaching("selected", source, experts)
    it = new_teaching(spec, experts_of(spec), *curriculum_of(pacing(mode, selector="ready"), len(experts)))
    assert isinstance(it, Selected)
    return it


def shown(numbers: npt.NDArray[np.int64] = NUMBERS) -> Shown:
    whole = data()
    return Shown(numbers, 0, whole.images.views(whole.train[numbers], [0])[0])


def labels(numbers: npt.NDArray[np.int64] = NUMBERS) -> Tensor:
    whole = data()
    return whole.labels[torch.from_numpy(whole.train[numbers])]


def predicted(confidence: float, numbers: npt.NDArray[np.int64] = NUMBERS) -> Tensor:
    """Logits of a student that gives each image's label this probability."""
    others = torch.full((len(numbers), CLASSES), (1 - confidence) / (CLASSES - 1))
    return others.scatter(1, labels(numbers)[:, None], confidence).log()


def teach(it: Selected, confidence: float, numbers: npt.NDArray[np.int64] = NUMBERS) -> Tensor:
    """Take a step in which the student has this confidence; returns the loss of each image."""
    return it(predicted(confidence, numbers), labels(numbers), it.target(shown(numbers), step=0, progress=1.0))


def test_before_an_image_was_shown_the_smallest_expert_teaches_it() -> None:
    assert not ready().choose(EVERY, 1.0).any()


def test_in_later_passes_the_expert_is_that_of_the_rule_by_the_last_prediction() -> None:
    it = ready()
    assert it.curriculum is not None and it.curriculum.readiness is not None
    for confidence in (0.1, 0.6, 0.99, 0.3):
        teach(it, confidence)
        it.end_pass()
        wanted = it.curriculum.readiness.experts(NUMBERS, np.full(len(NUMBERS), confidence, np.float32))
        np.testing.assert_array_equal(it.choose(NUMBERS, 1.0), wanted)
        assert not it.choose(np.setdiff1d(EVERY, NUMBERS), 1.0).any()


def test_a_student_that_is_sure_of_everything_has_the_teacher() -> None:
    it = ready()
    teach(it, 1.0, EVERY)
    it.end_pass()
    assert (it.choose(EVERY, 1.0) == 2).all()


def test_predictions_of_a_pass_count_from_the_next_one_on() -> None:
    it = ready()
    before = it.choose(NUMBERS, 1.0)
    teach(it, 1.0)
    np.testing.assert_array_equal(it.choose(NUMBERS, 1.0), before)
    it.end_pass()
    assert (it.choose(NUMBERS, 1.0) > before).all()


def test_no_expert_teaches_that_is_not_open() -> None:
    it = ready(mode="promote")
    teach(it, 1.0, EVERY)
    it.end_pass()
    assert [int(it.choose(EVERY, progress).max()) for progress in (0.0, 0.35, 1.0)] == [1, 2, 2]
    assert not ready(mode="promote").choose(EVERY, 1.0).any()


def test_the_loss_is_that_of_the_chosen_experts_whichever_source_their_logits_have() -> None:
    found = []
    for source in ("online", "cached"):
        it = ready(source)
        teach(it, 0.6)
        it.end_pass()
        found.append(teach(it, 0.2))
    torch.testing.assert_close(found[0], found[1], rtol=5e-3, atol=5e-3)


def test_steps_taught_at_once_have_the_experts_of_steps_taught_one_by_one() -> None:
    together, alone = ready(), ready()
    for it in (together, alone):
        teach(it, 0.6)
        it.end_pass()
    found = together.targets(shown(), (3, 1, 3), 3, 10)
    parts = shown().parts((3, 1, 3))
    for mine, part, step in zip(found, parts, (3, 4, 5), strict=True):
        (logits, images), (wanted, its) = mine, alone.target(part, step, step / 10)
        torch.testing.assert_close(logits, wanted)
        assert torch.equal(images, its)
    np.testing.assert_array_equal(together.assignment_counts, alone.assignment_counts)


def test_what_the_student_predicted_is_in_the_state_and_goes_on_from_there() -> None:
    it, resumed = ready(), ready()
    assert torch.equal(it.state_dict()["last.confidence"], torch.full((TRAINING_IMAGES,), UNSEEN))
    teach(it, 0.6)
    it.end_pass()
    resumed.load_state_dict(it.state_dict())
    np.testing.assert_array_equal(resumed.choose(EVERY, 1.0), it.choose(EVERY, 1.0))
    assert resumed.choose(NUMBERS, 1.0).any()


def test_the_prediction_is_recorded_without_changing_the_gradient() -> None:
    it = ready()
    logits = predicted(0.6).requires_grad_()
    it(logits, labels(), it.target(shown(), 0, 1.0)).sum().backward()
    assert logits.grad is not None and not it.last.confidence.requires_grad  # type: ignore[union-attr]
    torch.testing.assert_close(it.state_dict()["last.confidence"][NUMBERS], torch.full((len(NUMBERS),), 0.6))


def test_one_expert_alone_leaves_nothing_to_choose_and_nothing_to_record() -> None:
    it = ready(experts=("large",))
    assert it.image_values() == [] and it.state_dict() == {}
    assert isinstance(it.target(shown(), 0, 1.0), Tensor)


@pytest.mark.parametrize("mode", ["static", "both"])
def test_a_training_uses_several_experts(mode: str) -> None:
    spec = training(guidance=teaching("selected"), curriculum=pacing(mode, selector="ready"), steps=45)
    assert (learn(spec).assignment_counts.sum(axis=0) > 0).all()


def test_the_first_pass_is_taught_by_the_smallest_expert() -> None:
    spec = training(guidance=teaching("selected"), curriculum=pacing("static", selector="ready"), steps=PASS)
    assert learn(spec).assignment_counts.sum(axis=0).tolist() == [TRAINING_IMAGES, 0, 0]
