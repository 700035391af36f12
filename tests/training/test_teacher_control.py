"""The control by the teacher alone: the images of a curriculum over all experts, at the same steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from curricula.curriculum import MODES
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.training.loop import Trained
from tests.training.examples import (
    LADDER,
    Shown,
    assert_same_weights,
    data,
    learn,
    pacing,
    teaching,
    training,
)

STEPS = 20
EXPERTS, TEACHER = tuple(LADDER), tuple(LADDER)[-1:]


def spec_of(mode: str, selector: str, experts: tuple[str, ...]) -> TrainSpec:
    return training(
        guidance=teaching("selected", "cached", experts),
        curriculum=pacing(mode, a=0.9, b=0.4, selector=selector),
        steps=STEPS,
        views=3,
    )


def shown_by(spec: TrainSpec) -> tuple[Trained, list[list[int]], list[int]]:
    """Returns the training, and the images of each step, in order, with their view."""
    images = Shown(data().images)
    trained = learn(spec, on=replace(data(), images=images))
    return trained, [step.tolist() for step in images.steps], images.view_numbers


@pytest.mark.parametrize("selector", ["stratified", "competent", "ready"])
@pytest.mark.parametrize("mode", MODES)
def test_each_step_shows_the_same_images_and_the_teacher_teaches_all_of_them(mode: str, selector: str) -> None:
    by_experts, of_experts, views_of_experts = shown_by(spec_of(mode, selector, EXPERTS))
    by_teacher, of_teacher, views = shown_by(spec_of(mode, selector, TEACHER))
    assert len(of_teacher) == STEPS
    assert (of_teacher, views) == (of_experts, views_of_experts)
    assert by_teacher.assignment_counts.tolist() == [[sum(map(len, of_teacher))]]
    assert by_experts.assignment_counts.sum() == by_teacher.assignment_counts.sum()
    in_play = [row["active_fraction"] for row in by_teacher.history]
    assert in_play == [row["active_fraction"] for row in by_experts.history]
    assert (in_play[0] < 1) == (mode in ("reveal", "both"))


@pytest.mark.parametrize("mode", ["static", "promote"])
def test_where_no_image_is_held_back_it_is_single_guidance_by_the_teacher(mode: str) -> None:
    single = learn(training(guidance=teaching("single", "cached", TEACHER), steps=STEPS, views=3))
    assert_same_weights(learn(spec_of(mode, "stratified", TEACHER)).weights, single.weights)
