"""Killed and resumed trainings: bitwise equal to undisturbed ones."""

from __future__ import annotations

from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from orchestrator.datasets.photos import FolderPhotos
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.training.data.images import ImageFiles, TrainingData
from orchestrator.training.loop import Trained
from orchestrator.training.state import TrainingState
from tests.training.examples import (
    CPU,
    Keeper,
    Killed,
    assert_same_training,
    learn,
    optimizer,
    pacing,
    teaching,
    training,
)
from tests.training.networks import DROPOUT

VALIDATIONS = (4, 8, 12, 14)  # of every case below; passes over all images end at 3, 6, 9 and 12

CASES: dict[str, dict[str, Any]] = {
    "labels": {},
    "single": {"guidance": teaching("single")},
    "dense with drop": {"guidance": teaching("dense", stochastic_drop=0.5)},
    "selected, revealed": {"guidance": teaching("selected"), "curriculum": pacing("reveal")},
    "selected, promoted": {"guidance": teaching("selected"), "curriculum": pacing("promote")},
    "selected from stored logits": {
        "guidance": teaching("selected", "cached"), "curriculum": pacing("both", "fixed_exponential"), "views": 3,
    },
    "ready, promoted": {"guidance": teaching("selected"), "curriculum": pacing("promote", selector="ready")},
    "ready from stored logits": {
        "guidance": teaching("selected", "cached"), "curriculum": pacing("both", selector="ready"), "views": 3,
    },
    "weighted": {"guidance": teaching("weighted")},
    "dropout": {"network": DROPOUT},
    "adamw": {"optimizer": optimizer(name="adamw", learning_rate=1e-3)},
    "steps": {"optimizer": optimizer(schedule="steps", momentum=0.0)},
    "learned step": {"record_learned_step": True},
    "keep best": {"keep": "best", "optimizer": optimizer(learning_rate=0.3)},
    "both weights": {"keep": "last", "both_weights": True, "optimizer": optimizer(learning_rate=0.6)},
    "a fold": {"fold": 1, "folds": 3, "batch_size": 16},
    "bf16": {"precision": "bf16"},
    "everything": {
        "network": DROPOUT, "guidance": teaching("selected"), "curriculum": pacing("both"), "keep": "best",
        "record_learned_step": True, "optimizer": optimizer(name="adamw", learning_rate=1e-2),
    },
}  # fmt: skip


def spec_of(case: str) -> TrainSpec:
    changes = dict(CASES[case])
    return training(changes.pop("network", "plain_cnn_2"), **changes)


@cache
def undisturbed(case: str) -> Trained:
    return learn(spec_of(case))


def killed_at(spec: TrainSpec, step: int, checkpoint: bytes | None = None, **changes: Any) -> bytes | None:
    """The checkpoint that a machine leaves which is lost at the first one after ``step`` steps."""
    lost = Keeper(checkpoint, kill_at=step, **changes)
    with pytest.raises(Killed):
        learn(spec, lost)
    return lost.kept


@pytest.mark.parametrize("step", VALIDATIONS)
@pytest.mark.parametrize("case", CASES)
def test_killed_at_a_validation_and_resumed_it_ends_in_the_same_training(case: str, step: int) -> None:
    checkpoint = killed_at(spec_of(case), step)
    assert checkpoint is not None
    assert_same_training(learn(spec_of(case), Keeper(checkpoint)), undisturbed(case))


@pytest.mark.parametrize("step", [2, 3, 7, 13])  # amid passes, at the end of one, and after the last whole one
@pytest.mark.parametrize("case", CASES)
def test_killed_between_validations_and_resumed_it_ends_in_the_same_training(case: str, step: int) -> None:
    checkpoint = killed_at(spec_of(case), step, between=True)
    assert checkpoint is not None
    assert_same_training(learn(spec_of(case), Keeper(checkpoint)), undisturbed(case))


@pytest.mark.parametrize("case", ["everything", "selected, revealed"])
def test_killed_at_every_step_it_ends_in_the_same_training(case: str) -> None:
    checkpoint, step = None, 0
    while step < 14:  # steps that are taught at once are one step here
        checkpoint = killed_at(spec_of(case), step + 1, checkpoint, between=True)
        assert checkpoint is not None
        step = TrainingState.from_bytes(checkpoint).step
    assert_same_training(learn(spec_of(case), Keeper(checkpoint)), undisturbed(case))


def test_checkpoints_between_validations_change_nothing() -> None:
    assert_same_training(learn(spec_of("everything"), Keeper(between=True)), undisturbed("everything"))


@pytest.mark.parametrize("case", ["everything", "selected, revealed"])
def test_killed_at_every_validation_it_ends_in_the_same_training(case: str) -> None:
    checkpoint = None
    for step in VALIDATIONS:
        checkpoint = killed_at(spec_of(case), step, checkpoint)
    assert_same_training(learn(spec_of(case), Keeper(checkpoint)), undisturbed(case))


def test_killed_before_a_checkpoint_is_written_it_goes_on_from_the_one_before() -> None:
    checkpoint = killed_at(spec_of("everything"), 12, when="before")
    resumed = Keeper(checkpoint)
    assert_same_training(learn(spec_of("everything"), resumed), undisturbed("everything"))
    assert [row["step"] for row in resumed.rows] == [12, 14]


def test_killed_before_any_checkpoint_it_starts_again() -> None:
    checkpoint = killed_at(spec_of("labels"), 4, when="before")
    assert checkpoint is None
    assert_same_training(learn(spec_of("labels"), Keeper(checkpoint)), undisturbed("labels"))


def test_the_same_spec_trains_the_same_network_and_another_seed_another_one() -> None:
    again, other = learn(spec_of("everything")), learn(spec_of("everything").model_copy(update={"seed": 4}))
    assert_same_training(again, undisturbed("everything"))
    assert any(not torch.equal(again.weights[name], other.weights[name]) for name in again.weights)


def test_a_damaged_checkpoint_is_reported_and_training_starts_again() -> None:
    checkpoint = killed_at(spec_of("labels"), 8)
    assert checkpoint is not None
    with pytest.warns(UserWarning, match="the checkpoint is damaged.*training starts anew"):
        again = learn(spec_of("labels"), Keeper(checkpoint[:-100]))
    assert_same_training(again, undisturbed("labels"))


@pytest.fixture
def photos(tmp_path: Path) -> FolderPhotos:
    """Forty JPEGs of noise around a brightness of each class."""
    random, paths = np.random.default_rng(0), []
    for number in range(40):
        paths.append(str(tmp_path / f"{number}.jpg"))
        pixels = random.integers(0, 100, (20, 26, 3)) + 50 * (number % 4)
        Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
    return FolderPhotos("", paths)


def of_photos(photos: FolderPhotos, decoders: int) -> TrainingData:
    """24 to train on, 8 to validate."""
    images = ImageFiles(photos, 16, [0.5] * 3, [0.3] * 3, "resized_crop_flip", 0, CPU, decoders)
    labels = torch.arange(40) % 4
    return TrainingData(images, labels, np.arange(24), np.arange(24, 32), np.arange(32, 40), classes=4)


@pytest.mark.parametrize(("step", "decoders"), [(4, 1), (8, 2), (4, 4)])
def test_photos_that_are_decoded_ahead_change_nothing_of_this(photos: FolderPhotos, step: int, decoders: int) -> None:
    """However many processes decode, before the kill and after it."""
    spec = training(batch_size=10, steps=10)
    spec = spec.model_copy(update={"network": spec.network.model_copy(update={"channels": 3})})
    lost = Keeper(kill_at=step)
    with closing(of_photos(photos, decoders)) as data, pytest.raises(Killed):
        learn(spec, lost, on=data)
    with closing(of_photos(photos, 5 - decoders)) as data:
        again = learn(spec, Keeper(lost.kept), on=data)
    assert_same_training(again, learn(spec, on=of_photos(photos, 0)))
