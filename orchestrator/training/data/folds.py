"""Folds: the training images that a network is trained without, so that it can judge them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from orchestrator.pipeline.specs import TrainSpec
from orchestrator.randomness import Purpose, generator
from orchestrator.training.data.images import TrainingData


def training_images(spec: TrainSpec, data: TrainingData) -> npt.NDArray[np.int64]:
    """The images a network trains on; with a fold set, all training images but that fold's."""
    if spec.fold is None:
        return data.train
    return data.train[folds_of(len(data.train), spec.folds, spec.views_seed) != spec.fold]


def folds_of(images: int, folds: int, seed: int) -> npt.NDArray[np.int64]:
    """The fold of each of ``images`` training images, (N,), sizes differing by one at most."""
    return generator(seed, Purpose.FOLDS, folds).permutation(images) % folds
