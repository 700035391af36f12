"""The recorder of learned steps: its result, its state, and its errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curricula.difficulty import LearnedStepRecorder
from tests.curricula.examples import seeds


def by_definition(steps: np.ndarray, correct: np.ndarray) -> list[int]:
    """The first step from which on all of an image's records, correct (steps, N), are right."""
    return [
        next((int(step) for k, step in enumerate(steps) if of_image[k:].all()), int(steps[-1]) + 1)
        for of_image in correct.T
    ]


def history(seed: int, records: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    steps = np.sort(generator.choice(200, records, replace=False))
    return steps, generator.random((records, images)) < 0.7


@given(seeds, st.integers(1, 12), st.integers(1, 12))
def test_learned_step_equals_its_definition_after_every_record(seed: int, records: int, images: int) -> None:
    steps, correct = history(seed, records, images)
    recorder = LearnedStepRecorder(images)
    for k in range(records):
        recorder.update(int(steps[k]), correct[k])
        assert recorder.learned_step().tolist() == by_definition(steps[: k + 1], correct[: k + 1])


@given(seeds, st.integers(1, 12), st.integers(1, 12), st.data())
def test_a_restored_recorder_goes_on_identically(seed: int, records: int, images: int, data: st.DataObject) -> None:
    steps, correct = history(seed, records, images)
    cut = data.draw(st.integers(0, records))
    recorder = LearnedStepRecorder(images)
    for k in range(cut):
        recorder.update(int(steps[k]), correct[k])
    restored = LearnedStepRecorder.from_state(recorder.state())
    for k in range(cut, records):
        recorder.update(int(steps[k]), correct[k])
        restored.update(int(steps[k]), correct[k])
    np.testing.assert_array_equal(restored.state(), recorder.state())
    np.testing.assert_array_equal(restored.learned_step(), recorder.learned_step())


def test_the_state_is_one_int64_an_image_and_a_copy() -> None:
    recorder = LearnedStepRecorder(3)
    state = recorder.state()
    assert state.shape == (3,)
    assert state.dtype == np.int64
    state[:] = 9
    recorder.update(0, np.array([True, False, True]))
    assert recorder.learned_step().tolist() == [0, 1, 0]


@pytest.mark.parametrize("correct", [[True, True], [False, False]])
def test_a_step_that_is_not_later_is_refused(correct: list[bool]) -> None:
    recorder = LearnedStepRecorder(2)
    recorder.update(10, np.array(correct))
    with pytest.raises(ValueError, match="step 10, already recorded"):
        recorder.update(10, np.array(correct))


@pytest.mark.parametrize("correct", [np.array([True]), np.array([1, 0])])
def test_anything_but_one_boolean_an_image_is_refused(correct: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"correct: .*Give one boolean an image"):
        LearnedStepRecorder(2).update(0, correct)


def test_a_state_that_is_not_integers_is_refused() -> None:
    with pytest.raises(ValueError, match="state: type float64"):
        LearnedStepRecorder.from_state(np.zeros(3))
