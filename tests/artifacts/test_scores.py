"""Files of a score: logits of each expert, and the difficulty of each image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from orchestrator.artifacts import scores
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.scores import ScoreAbout, ScoreWriter
from orchestrator.artifacts.top_k import expand, shorten
from tests.artifacts.formats import scores_of, write_scores

EXPERTS = ("small", "large")
IMAGES, VIEWS, CLASSES = 12, 3, 4
SOME = np.array([11, 0, 5])
COLUMNS = {"label": np.arange(IMAGES) % CLASSES, "margin": np.linspace(0, 1, IMAGES)}


def logits(expert: int) -> np.ndarray:
    """Logits (1 + VIEWS, N, classes): without augmentation, then of each view."""
    return np.random.default_rng(expert).normal(size=(1 + VIEWS, IMAGES, CLASSES)).astype(np.float16)


def score(folder: Path, experts: tuple[str, ...] = EXPERTS) -> Path:
    every = [logits(number) for number in range(len(experts))]
    return write_scores(folder, experts, [its[0] for its in every], [its[1:] for its in every], COLUMNS)


def test_every_expert_s_logits_are_found_by_its_name(tmp_path: Path) -> None:
    found = scores_of(score(tmp_path / "score"))
    for number, name in enumerate(EXPERTS):
        np.testing.assert_array_equal(found.clean(name), logits(number)[0])
        for view in range(VIEWS):
            np.testing.assert_array_equal(found.views(name).logits(view, SOME), logits(number)[1 + view, SOME])
        assert found.clean(name).dtype == found.views(name).logits(0, SOME).dtype == np.float16


def test_the_score_of_another_topology_adds_its_experts(tmp_path: Path) -> None:
    other = score(tmp_path / "other", ("small@sequential",))
    found = scores_of(score(tmp_path / "score"), sequential=other)
    np.testing.assert_array_equal(found.clean("small@sequential"), found.clean("small"))
    np.testing.assert_array_equal(found.clean("large"), logits(1)[0])


def test_difficulties_are_read_by_name_from_the_main_score(tmp_path: Path) -> None:
    np.testing.assert_array_equal(scores_of(score(tmp_path / "score")).column("margin"), COLUMNS["margin"])


def test_a_difficulty_that_was_not_computed_is_refused_listing_those_that_were(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"difficulty\.scorer: learned_step was not computed; .*label, margin"):
        scores_of(score(tmp_path / "score")).column("learned_step")


def test_images_may_be_stored_in_any_order(tmp_path: Path) -> None:
    writer = ScoreWriter(tmp_path, ScoreAbout(EXPERTS, EXPERTS, VIEWS, CLASSES), IMAGES, folds=2)
    every = np.stack([logits(number) for number in range(2)])  # (experts, 1 + views, N, classes)
    order = np.random.default_rng(0).permutation(IMAGES)
    for part in (order[:5], order[5:]):
        shown = every[:, :, part]
        views = shown[:, 1:].transpose(2, 0, 1, 3)
        writer.put(part, shown[:, 0].swapaxes(0, 1), views, shown[:, 0].swapaxes(0, 1))
    assert writer.folds is not None
    np.testing.assert_array_equal(writer.folds, every[:, 0])
    writer.finish(None)
    for number in range(2):
        np.testing.assert_array_equal(scores.read_clean(FolderFiles(tmp_path), number), every[number, 0])


def test_of_shortened_views_the_stored_logits_are_found_and_the_others_are_alike(tmp_path: Path) -> None:
    every = np.stack([logits(number) for number in range(2)])  # (experts, 1 + views, N, classes)
    writer = ScoreWriter(tmp_path, ScoreAbout(EXPERTS, EXPERTS, VIEWS, CLASSES), IMAGES, top_k=2)
    writer.put(np.arange(IMAGES), every[:, 0].swapaxes(0, 1), shorten(every[:, 1:], 2).transpose(2, 0, 1), None)
    writer.finish(None)
    found = scores_of(tmp_path)
    for number, name in enumerate(EXPERTS):
        np.testing.assert_array_equal(found.clean(name), every[number, 0])
        for view in range(VIEWS):
            mine = found.views(name).logits(view, SOME)
            np.testing.assert_array_equal(mine, expand(shorten(every[number, 1 + view, SOME], 2), CLASSES))


def test_the_artifact_keeps_no_logits_of_folds_and_has_a_table_only_with_a_ladder(tmp_path: Path) -> None:
    ScoreWriter(tmp_path, ScoreAbout(EXPERTS, (), 0, CLASSES), IMAGES, folds=2).finish(None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clean-0.npy", "clean-1.npy", "score.json"]


def test_a_score_of_an_earlier_version_has_its_experts_for_a_ladder(tmp_path: Path) -> None:
    (tmp_path / scores.ABOUT).write_text(json.dumps({"experts": EXPERTS, "views": 0}))
    assert scores.read_about(FolderFiles(tmp_path)) == ScoreAbout(EXPERTS, EXPERTS, 0, 0)


def test_a_damaged_description_is_refused_naming_the_file(tmp_path: Path) -> None:
    (tmp_path / scores.ABOUT).write_text("{}")
    with pytest.raises(ValueError, match=r"score\.json .*experts"):
        scores.read_about(FolderFiles(tmp_path))
