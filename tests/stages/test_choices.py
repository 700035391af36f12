"""Choices are made on validation images: whatever the test images and labels are, a run chooses and trains the same."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator import datasets
from orchestrator.artifacts.dataset import IMAGES, LABELS
from orchestrator.artifacts.store import Artifact
from orchestrator.artifacts.trained import HISTORY
from orchestrator.datasets import TEST, ArrayImages, FileImages
from orchestrator.recipe.methods import METHODS
from tests.examples import planned
from tests.stages import in_process

# Small, and with everything that chooses: checkpoints, folds, a search for each method, and a curriculum.
OVERRIDES = (
    "dataset.synthetic={images: 224, test_images: 64, image_size: 12}",
    "dataset.validation=64",
    "dataset.label_noise=0.2",
    "ladder.networks=[plain_cnn_6, plain_cnn_4, plain_cnn_2]",
    "training={steps: 8, batch_size: 16, evaluate_every: 4, precision: fp32}",
    "distillation.views=2",
    "search={trials: 2, methods: null, space: {learning_rate: [0.01, 0.3]}}",
    "seeds=[0]",
)
TIMES = ("seconds", "spent", "cost")  # of results and trials: no two runs take the same


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """A stage sets the number of its process, here that of all tests."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def with_other_test_images(loaded: ArrayImages | FileImages) -> ArrayImages:
    """The set with noise in place of its test images, and their labels dealt anew."""
    assert isinstance(loaded, ArrayImages)
    generator = np.random.default_rng(0)
    test = np.flatnonzero(loaded.subset == TEST)
    images, labels = loaded.images.copy(), loaded.labels.copy()
    images[test] = generator.integers(0, 256, images[test].shape, dtype=np.uint8)
    labels[test] = generator.permutation(labels[test])
    return dataclasses.replace(loaded, images=images, labels=labels)


def without_times(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: without_times(value) for name, value in content.items() if name not in TIMES}
    return [without_times(value) for value in content] if isinstance(content, list) else content


def result(artifact: Artifact) -> tuple[str, dict[str, str]]:
    """A stage's results, and the checksums of its files but for those with times, which are in its results too."""
    timed = artifact.files.keys() if artifact.kind == "search" else {HISTORY}
    files = {name: record["sha256"] for name, record in artifact.files.items() if name not in timed}
    return json.dumps(without_times(artifact.results)), files  # as text, in which NaN is NaN


def test_no_choice_reads_a_test_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = planned(f"methods=[{', '.join(METHODS)}]", *OVERRIDES)
    as_they_are = in_process.run(chosen, str(tmp_path / "as-they-are"), monkeypatch)
    load = datasets.load

    def with_others(*arguments: Any) -> ArrayImages:
        loaded = load(*arguments)
        assert isinstance(loaded, ArrayImages)
        return with_other_test_images(loaded)

    monkeypatch.setattr(datasets, "load", with_others)
    otherwise = in_process.run(chosen, str(tmp_path / "otherwise"), monkeypatch)

    for name in (IMAGES, LABELS):
        assert as_they_are["ingest"].files[name] != otherwise["ingest"].files[name]
    tested = [name for name, artifact in as_they_are.items() if artifact.kind == "evaluate"]
    accuracies = [(as_they_are[name].results, otherwise[name].results) for name in tested]
    assert any(one["test_accuracy"] != other["test_accuracy"] for one, other in accuracies)
    assert all(one["validation_accuracy"] == other["validation_accuracy"] for one, other in accuracies)
    for name in as_they_are.keys() - {"ingest", *tested}:
        assert result(as_they_are[name]) == result(otherwise[name]), name
