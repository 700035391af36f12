"""Teaching from artifacts: opens experts and stored logits, and builds the curriculum from the scored difficulty."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from curricula import pacing, selection
from curricula.curriculum import Curriculum
from curricula.difficulty import Evidence, rank
from curricula.readiness import Readiness
from orchestrator import user_code
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.scores import Scores
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.pipeline.specs import CurriculumSpec, NetworkSpec, TrainSpec
from orchestrator.recipe.choices import PacingSpec
from orchestrator.training.guidance.experts import CachedExperts, Experts, OnlineExperts
from orchestrator.training.guidance.kinds import new_teaching
from orchestrator.training.guidance.teaching import Teaching
from orchestrator.training.networks import load_network


def make_pacing(spec: PacingSpec) -> pacing.Pacing:
    """The pacing function of a spec."""
    if spec.family == "fixed_exponential":
        return pacing.make(spec.family, spec.a, spec.b, increase=spec.increase, step_length=spec.step_length)
    family = user_code.load(spec.family) if user_code.is_user_defined(spec.family) else spec.family
    return pacing.make(family, spec.a, spec.b)


def build_curriculum(
    spec: CurriculumSpec, experts: tuple[str, ...], scores: Scores
) -> tuple[Curriculum, npt.NDArray[np.int64]]:
    """The curriculum over the training images, and each image's stratum by true difficulty rank, (N,).

    For a control the strata stay those of the true ranks, so that the report shows what the control did. With one
    expert all selectors are the same, so neither logits nor a table, which may name others, are read.
    """
    labels = scores.column("label").astype(np.int64)
    ranks = rank(scores.column(spec.scorer), labels if spec.balanced else None)
    selector = spec.selector if len(experts) > 1 else "stratified"
    evidence, table = None, None
    if selector in ("competent", *selection.ONLINE):  # the others need no logits, which take long to fetch
        evidence = Evidence(labels=labels, logits=[scores.clean(expert) for expert in experts])
    if selector == "table":
        table = [experts.index(name) for name in spec.table]
    base = {"evidence": evidence, "confidence": spec.confidence, "table": table}
    if spec.control == "none":
        chosen = selection.select(selector, ranks, len(experts), **base)  # type: ignore[arg-type]
    else:
        chosen = selection.select(
            spec.control, ranks, len(experts), base=selector, seed=spec.control_seed,
            labels=labels if spec.balanced else None, **base,  # type: ignore[arg-type]
        )  # fmt: skip
    readiness = Readiness.of(evidence) if evidence and selector in selection.ONLINE else None
    curriculum = Curriculum(chosen, make_pacing(spec.pacing), spec.mode, len(experts), readiness)
    return curriculum, selection.strata(ranks, len(experts))


def open_teaching(
    spec: TrainSpec, folders: Mapping[str, Path], networks: Mapping[str, NetworkSpec], device: torch.device
) -> Teaching:
    """Returns the teaching of a training, with its experts and its curriculum.

    Args:
        spec: the training.
        folders: folders of its inputs by role (``expert:<name>``, ``score``, ``score:<topology>``).
        networks: the network of each expert that runs beside the student.
        device: where experts run, or their stored logits are put.
    """
    wanted = spec.guidance.experts
    scores = Scores.among(folders)
    experts: Experts | None = None
    if spec.guidance.source == "online":
        opened = [load_network(networks[name], FolderFiles(folders[f"expert:{name}"]).path(WEIGHTS)) for name in wanted]
        experts = OnlineExperts(opened, device, spec.precision == "bf16")
    elif spec.guidance.source == "cached":
        experts = CachedExperts([scores.views(name) for name in wanted], device)
    if spec.curriculum is None:
        return new_teaching(spec.guidance, experts, seed=spec.seed)
    curriculum, strata = build_curriculum(spec.curriculum, wanted, scores)
    return new_teaching(spec.guidance, experts, curriculum, strata, spec.seed)
