"""The difficulty table of a score, filled block by block, against difficulties of all images at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curricula.difficulty import Evidence, available, score, spearman
from orchestrator.artifacts import dataset, trained
from orchestrator.artifacts.dataset import Counts
from orchestrator.artifacts.scores import ScoreAbout, ScoreWriter
from orchestrator.datasets import VALIDATION
from orchestrator.pipeline.kinds import ScoreSpec
from orchestrator.stages.difficulty import DifficultyTable
from orchestrator.training.data.folds import folds_of
from tests.artifacts.formats import about_data, write_scores
from tests.training.examples import network_spec

CLASSES, IMAGES, HELD_BACK, FOLDS = 3, 40, 5, 2
LADDER = ("small", "large")
DISAGREEMENT = "tests.stages.test_difficulty:disagreement"

generator = np.random.default_rng(0)
LOGITS = generator.normal(0, 3, (len(LADDER), IMAGES, CLASSES)).astype(np.float16)
FOLD_LOGITS = generator.normal(0, 3, (FOLDS, IMAGES, CLASSES)).astype(np.float32)
LABELS = generator.integers(0, CLASSES, HELD_BACK + IMAGES)
SEVERITY = generator.random(HELD_BACK + IMAGES).astype(np.float32)
LEARNED = generator.integers(0, 50, IMAGES)
FOLD = folds_of(IMAGES, FOLDS, 0)


def disagreement(evidence: Evidence) -> np.ndarray:
    """A user-defined difficulty that looks at everything: experts, folds, and an image's place among all."""
    assert evidence.fold_logits is not None and evidence.image is not None
    mean = np.mean([np.asarray(its, np.float64) for its in (*evidence.logits, *evidence.fold_logits)], axis=(0, 2))
    return mean - mean.mean() + 1e-3 * evidence.image


def spec(experts: tuple[str, ...] = LADDER, **changes: Any) -> ScoreSpec:
    fields: dict[str, Any] = {
        "experts": experts, "networks": tuple(network_spec("plain_cnn_2", CLASSES) for _ in experts), "views": 0,
        "views_seed": 0, "augmentation": "none", "precision": "fp32", "threads": 1, "ladder": LADDER, "folds": FOLDS,
    }  # fmt: skip
    return ScoreSpec(**(fields | changes))


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """A data set whose first images are held back, and what the smallest expert's training has recorded."""
    folders = {role: tmp_path / role.replace(":", "-") for role in ("data", "expert:small", "mine")}
    for folder in folders.values():
        folder.mkdir()
    subset = np.zeros(len(LABELS), np.uint8)
    subset[:HELD_BACK] = VALIDATION
    about = about_data(counts=Counts(IMAGES, HELD_BACK, 0, 0))
    pixels = np.zeros((len(LABELS), 8, 8, 3), np.uint8)
    dataset.write_arrays(folders["data"], about, LABELS, subset, pixels, SEVERITY)
    trained.write(folders["expert:small"], [], np.eye(2, dtype=np.int64), LEARNED)
    return folders


def table_of(asked: ScoreSpec, folders: dict[str, Path]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The table, from blocks of images in no order."""
    about = ScoreAbout(asked.experts, asked.ladder, 0, CLASSES)
    writer = ScoreWriter(folders["mine"], about, IMAGES, FOLDS if asked.code else 0)
    table = DifficultyTable(asked, folders, writer)
    mine = [LADDER.index(expert) for expert in asked.experts]
    for images in np.array_split(np.random.default_rng(1).permutation(IMAGES), 6):
        folds = FOLD_LOGITS[:, images].swapaxes(0, 1) if asked.folds else None
        writer.put(images, LOGITS[mine][:, images].swapaxes(0, 1), None, folds)
        table.add(images, folds)
    return table.finish()


def whole(**changes: Any) -> Evidence:
    fields: dict[str, Any] = {
        "labels": LABELS[HELD_BACK:], "logits": LOGITS, "fold_logits": FOLD_LOGITS, "fold": FOLD,
        "learned_step": LEARNED, "image": np.arange(HELD_BACK, HELD_BACK + IMAGES),
    }  # fmt: skip
    return Evidence(**(fields | changes))


def test_every_difficulty_by_blocks_is_that_of_all_images_at_once(folders: dict[str, Path]) -> None:
    columns, results = table_of(spec(), folders)
    assert results["difficulties"] == sorted(available(whole()))
    for name in available(whole()):
        np.testing.assert_array_equal(columns[name], score(name, whole()))
    for name in ("image", "fold"):
        np.testing.assert_array_equal(columns[name], getattr(whole(), name))
    np.testing.assert_array_equal(columns["label"], whole().labels)


def test_without_folds_there_is_no_held_out_loss(folders: dict[str, Path]) -> None:
    columns, _ = table_of(spec(folds=0), folders)
    assert not {"fold", "held_out_loss"} & columns.keys()
    np.testing.assert_array_equal(columns["mean_loss"], score("mean_loss", whole()))


def test_the_results_have_shares_of_right_images_and_correlations_with_the_severity(folders: dict[str, Path]) -> None:
    columns, results = table_of(spec(), folders)
    for expert, logits in zip(LADDER, LOGITS, strict=True):
        assert results["experts_right"][expert] == (logits.argmax(axis=1) == LABELS[HELD_BACK:]).mean()
    np.testing.assert_array_equal(columns["severity"], SEVERITY[HELD_BACK:])
    assert results["severity_correlation"]["margin"] == spearman(columns["margin"], SEVERITY[HELD_BACK:])


def test_an_expert_that_was_scored_before_is_read_from_there(folders: dict[str, Path], tmp_path: Path) -> None:
    earlier = write_scores(tmp_path / "earlier", ["large"], [LOGITS[1]], [LOGITS[1:]], {})
    columns, results = table_of(spec(("small",)), folders | {"score:large": earlier})
    np.testing.assert_array_equal(columns["mean_loss"], score("mean_loss", whole()))
    assert list(results["experts_right"]) == list(LADDER)


def test_a_user_defined_difficulty_is_computed_from_all_images_with_what_is_stored(folders: dict[str, Path]) -> None:
    columns, results = table_of(spec(code={DISAGREEMENT: "0"}), folders)
    stored = whole(fold_logits=FOLD_LOGITS.astype(np.float16))
    np.testing.assert_array_equal(columns[DISAGREEMENT], disagreement(stored))
    np.testing.assert_array_equal(columns["held_out_loss"], score("held_out_loss", whole()))
    assert DISAGREEMENT in results["difficulties"]
