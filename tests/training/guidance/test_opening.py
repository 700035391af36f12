"""Guidance from artifacts: a score folder written by hand, experts' weights, and the curriculum made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from curricula.difficulty import log_softmax, rank
from curricula.pacing import FAMILIES
from curricula.readiness import WRONG
from curricula.selection import strata
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.recipe.choices import PacingSpec
from orchestrator.training.guidance.experts import CachedExperts, OnlineExperts, Shown
from orchestrator.training.guidance.opening import build_curriculum, make_pacing, open_teaching
from tests.artifacts.formats import scores_of, write_scores
from tests.training.examples import (
    CLASSES,
    CPU,
    LADDER,
    data,
    expert_network,
    network_spec,
    pacing,
    stored_logits,
    teaching,
    training,
)

EXPERTS = tuple(LADDER)
IMAGES, VIEWS = 60, 3
LABELS = np.arange(IMAGES) % 3


def logits(number: int) -> np.ndarray:
    """Random logits (N, 3) of expert ``number``, the surer the larger it is."""
    return np.random.default_rng(number).normal(size=(IMAGES, 3)) + number * np.eye(3)[LABELS]


def loss() -> np.ndarray:
    return -log_softmax(logits(2))[np.arange(IMAGES), LABELS]


@pytest.fixture
def score(tmp_path: Path) -> Path:
    """The score of three experts and 60 images; the difficulties are the largest expert's loss and a margin."""
    return write_score(tmp_path / "score", EXPERTS)


def write_score(folder: Path, experts: tuple[str, ...]) -> Path:
    columns = {"image": np.arange(IMAGES) + 7, "label": LABELS, "expert_loss": loss(), "margin": -loss()}
    clean = [logits(number) for number in range(len(experts))]
    views = [np.stack([its + 10 * view for view in range(VIEWS)]) for its in clean]
    return write_scores(folder, experts, clean, views, columns)


def frequencies(control: str, score: Path, **changes: Any) -> list[list[int]]:
    spec = pacing("both", control=control, **changes)
    curriculum, _ = build_curriculum(spec, EXPERTS, scores_of(score))
    return [curriculum.frequencies(progress).tolist() for progress in np.linspace(0, 1, 11)]


class TestCurriculum:
    def test_the_easiest_third_has_the_smallest_expert(self, score: Path) -> None:
        curriculum, found = build_curriculum(pacing("static"), EXPERTS, scores_of(score))
        np.testing.assert_array_equal(found, strata(rank(loss()), 3))
        np.testing.assert_array_equal(curriculum.selection.experts, found)
        np.testing.assert_array_equal(curriculum.order, np.argsort(loss(), kind="stable"))
        assert curriculum.mode == "static"
        assert curriculum.expert_count == 3

    def test_a_subset_of_the_experts_has_as_many_strata(self, score: Path) -> None:
        curriculum, found = build_curriculum(pacing("static"), (EXPERTS[0], EXPERTS[2]), scores_of(score))
        np.testing.assert_array_equal(found, strata(rank(loss()), 2))
        np.testing.assert_array_equal(curriculum.selection.experts, found)
        assert curriculum.expert_count == 2

    def test_the_scorer_chooses_the_difficulty(self, score: Path) -> None:
        by_loss, by_margin = (
            build_curriculum(pacing("static", scorer=scorer), EXPERTS, scores_of(score))[0]
            for scorer in ("expert_loss", "margin")
        )
        np.testing.assert_array_equal(by_margin.order, by_loss.order[::-1])

    def test_balanced_reveals_every_class_alike(self, score: Path) -> None:
        curriculum, _ = build_curriculum(pacing("reveal", balanced=True), EXPERTS, scores_of(score))
        for progress in (0.0, 0.3, 0.6):
            counts = np.bincount(LABELS[curriculum.active(progress)], minlength=3)
            assert counts.max() - counts.min() <= 1

    def test_competent_judges_by_the_clean_logits_and_the_confidence(self, score: Path) -> None:
        experts = [
            build_curriculum(pacing("static", selector="competent", confidence=confidence), EXPERTS,
                             scores_of(score))[0].selection.experts
            for confidence in (0.4, 0.9)
        ]  # fmt: skip
        assert (experts[0] <= experts[1]).all()
        assert (experts[0] < experts[1]).any()
        taught_by_smallest = experts[1] == 0
        sure = np.exp(log_softmax(logits(0)))[np.arange(IMAGES), LABELS] >= 0.9
        np.testing.assert_array_equal(taught_by_smallest, sure)

    def test_ready_has_each_expert_s_confidence_on_the_clean_images(self, score: Path) -> None:
        curriculum, _ = build_curriculum(pacing("static", selector="ready"), EXPERTS, scores_of(score))
        assert curriculum.readiness is not None
        for number, found in enumerate(curriculum.readiness.confidence):
            probability = np.exp(log_softmax(logits(number)))
            right = probability.argmax(axis=1) == LABELS
            wanted = np.where(right, probability[np.arange(IMAGES), LABELS], WRONG)
            np.testing.assert_allclose(found, wanted, rtol=1e-2)

    @pytest.mark.parametrize("control", ["none", "random"])
    @pytest.mark.parametrize(("selector", "table"), [("competent", ()), ("ready", ()), ("table", EXPERTS)])
    def test_one_expert_teaches_every_image_whatever_the_selector(
        self, selector: str, table: tuple[str, ...], control: str, tmp_path: Path
    ) -> None:
        of_others = write_score(tmp_path / "without_logits_of_the_one", EXPERTS[:1])
        spec = pacing("reveal", selector=selector, table=table, control=control)
        curriculum, found = build_curriculum(spec, EXPERTS[-1:], scores_of(of_others))
        assert curriculum.readiness is None
        assert not curriculum.selection.experts.any() and not found.any()

    def test_a_table_names_the_expert_of_each_stratum(self, score: Path) -> None:
        table = (EXPERTS[2], EXPERTS[0], EXPERTS[2])
        curriculum, found = build_curriculum(pacing("static", selector="table", table=table), EXPERTS, scores_of(score))
        np.testing.assert_array_equal(curriculum.selection.experts, np.array([2, 0, 2])[found])

    @pytest.mark.parametrize("control", ["random", "reversed"])
    @pytest.mark.parametrize("selector", ["stratified", "competent"])
    @pytest.mark.parametrize("balanced", [False, True])
    def test_a_control_uses_each_expert_as_often_on_other_images(
        self, control: str, selector: str, balanced: bool, score: Path
    ) -> None:
        changes: dict[str, Any] = {"selector": selector, "balanced": balanced}
        assert frequencies(control, score, **changes) == frequencies("none", score, **changes)
        scores = scores_of(score)
        base, true_strata = build_curriculum(pacing("both", **changes), EXPERTS, scores)
        dealt, its_strata = build_curriculum(pacing("both", control=control, **changes), EXPERTS, scores)
        assert (dealt.selection.experts != base.selection.experts).any()
        np.testing.assert_array_equal(its_strata, true_strata)
        if balanced:  # dealt within each class
            for label in range(3):
                one, other = (np.bincount(it.selection.experts[label == LABELS], minlength=3) for it in (dealt, base))
                np.testing.assert_array_equal(one, other)

    def test_the_random_control_is_a_function_of_its_seed(self, score: Path) -> None:
        first, again, other = (
            build_curriculum(pacing("static", control="random", control_seed=seed), EXPERTS, scores_of(score))[0]
            for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first.selection.experts, again.selection.experts)
        assert (first.selection.experts != other.selection.experts).any()

    @pytest.mark.parametrize("family", FAMILIES)
    def test_every_pacing_family_is_made_from_its_spec(self, family: str) -> None:
        spec = PacingSpec(family=family, a=0.5, b=0.3, increase=1.5, step_length=0.2)
        found = make_pacing(spec)
        assert found(1.0) == 1
        assert found(0.0) == pytest.approx(0.3, abs=1e-4)
        assert (found.increase == 1.5) == (family == "fixed_exponential")

    def test_a_family_of_one_s_own_is_made_from_its_path(self) -> None:
        found = make_pacing(PacingSpec(family="tests.execution.user_curricula:cosine", a=0.5, b=0.3))
        assert found(0.0) == pytest.approx(0.3) and found(0.25) == pytest.approx(0.65) and found(0.5) == 1


def shown(view: int) -> Shown:
    numbers = np.array([5, 0, 33, 34, 12])
    return Shown(numbers, view, data().images.views(data().train[numbers], [view])[0])


class TestOpenGuidance:
    """From the folders that a training stage is given."""

    @pytest.fixture
    def folders(self, tmp_path: Path) -> dict[str, Path]:
        """Three experts' weights, and the score that these experts would be given."""
        folders = {"score": tmp_path / "score"}
        for name in EXPERTS:
            folders[f"expert:{name}"] = tmp_path / name
            folders[f"expert:{name}"].mkdir()
            weights = folders[f"expert:{name}"] / WEIGHTS
            safetensors.torch.save_file(expert_network(name).state_dict(), weights)
        labels = data().labels[torch.from_numpy(data().train)].numpy()
        difficulty = np.random.default_rng(0).random(len(labels))
        views = [stored_logits(name, VIEWS) for name in EXPERTS]
        columns = {"label": labels, "expert_loss": difficulty}
        write_scores(folders["score"], EXPERTS, [its[0] for its in views], views, columns)
        return folders

    NETWORKS = {name: network_spec(network) for name, network in LADDER.items()}  # noqa: RUF012

    def test_labels_open_nothing(self) -> None:
        opened = open_teaching(training(), {}, {}, CPU)
        assert opened.experts is None
        assert opened.curriculum is None
        assert opened.target(shown(0), 0, 0.0) is None

    @pytest.mark.parametrize("kind", ["single", "dense", "selected"])
    def test_online_and_cached_guidance_open_to_the_same_logits(self, kind: str, folders: dict[str, Path]) -> None:
        curriculum = pacing("promote") if kind == "selected" else None
        online, cached = (
            open_teaching(training(guidance=teaching(kind, source), curriculum=curriculum), folders, self.NETWORKS, CPU)
            for source in ("online", "cached")
        )
        assert isinstance(online.experts, OnlineExperts)
        assert isinstance(cached.experts, CachedExperts)
        for view in range(VIEWS):
            found, wanted = (it.target(shown(view), view, 0.6) for it in (cached, online))
            assert found is not None
            assert wanted is not None
            assert found.shape[-1] == CLASSES
            torch.testing.assert_close(found.float(), wanted, rtol=2e-3, atol=2e-3)
        np.testing.assert_array_equal(online.assignment_counts, cached.assignment_counts)
        assert online.assignment_counts.sum() == (5 * VIEWS if kind == "selected" else 0)

    def test_a_students_experts_may_be_some_of_those_scored(self, folders: dict[str, Path]) -> None:
        spec = training(guidance=teaching("single", "cached", ["large"]))
        found = open_teaching(spec, folders, {}, CPU).target(shown(1), 0, 0.0)
        assert found is not None
        np.testing.assert_array_equal(found.numpy(), stored_logits("large", VIEWS)[1, shown(1).numbers])

    def test_an_experts_weights_that_do_not_fit_are_named(self, folders: dict[str, Path]) -> None:
        networks = self.NETWORKS | {"large": network_spec("plain_cnn_2")}
        with pytest.raises(ValueError, match=r"large/weights\.safetensors can't be loaded into plain_cnn_2"):
            open_teaching(training(guidance=teaching("dense")), folders, networks, CPU)
