"""Guidance from artifacts: opens experts and stored logits, and builds the curriculum from the scored difficulty."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import torch

from curricula import pacing, selection
from curricula.curriculum import Curriculum
from curricula.difficulty import Evidence, rank
from orchestrator import user_code
from orchestrator.pipeline.specs import CurriculumSpec, NetworkSpec, TrainSpec
from orchestrator.recipe.choices import PacingSpec
from orchestrator.training.guidance.guidance import CachedExperts, Experts, Guidance, OnlineExperts
from orchestrator.training.networks import WEIGHTS, load_network

SCORE = "score.json"
DIFFICULTY = "difficulty.parquet"


class Scores:
    """What the score stages stored, by the experts' names."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.main: Path | None = folders.get("score")
        self.places: dict[str, tuple[Path, int]] = {}
        for folder in folders.values():
            for number, expert in enumerate(json.loads((folder / SCORE).read_text())["experts"]):
                self.places[expert] = (folder, number)

    def clean(self, expert: str) -> npt.NDArray[np.float32]:
        """Logits (N, classes) of the training images without augmentation."""
        folder, number = self.places[expert]
        return np.load(folder / f"clean-{number}.npy", mmap_mode="r")

    def views(self, expert: str) -> npt.NDArray[np.float16]:
        """Logits (views, N, classes); every process of a node maps the same pages."""
        folder, number = self.places[expert]
        return np.load(folder / f"views-{number}.npy", mmap_mode="r")

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """A column of the main score's difficulty table, (N,).

        Raises:
            ValueError: when that difficulty was not computed.
        """
        assert self.main is not None, "a curriculum needs the main ladder's score"
        table = pq.read_table(self.main / DIFFICULTY)
        if name not in table.column_names:
            raise ValueError(f"difficulty.scorer: {name} was not computed; there are {', '.join(table.column_names)}")
        return table.column(name).to_numpy()


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

    For a control the strata stay those of the true ranks, so that the report shows what the control did.
    """
    labels = scores.column("label").astype(np.int64)
    ranks = rank(scores.column(spec.scorer), labels if spec.balanced else None)
    evidence = Evidence(labels=labels, logits=[scores.clean(expert) for expert in experts])
    base = {"evidence": evidence, "confidence": spec.confidence}
    if spec.control == "none":
        chosen = selection.select(spec.selector, ranks, len(experts), **base)  # type: ignore[arg-type]
    else:
        chosen = selection.select(
            spec.control, ranks, len(experts), base=spec.selector, seed=spec.control_seed,
            labels=labels if spec.balanced else None, **base,  # type: ignore[arg-type]
        )  # fmt: skip
    curriculum = Curriculum(chosen, make_pacing(spec.pacing), spec.mode, len(experts))
    return curriculum, selection.strata(ranks, len(experts))


def open_guidance(
    spec: TrainSpec, folders: Mapping[str, Path], networks: Mapping[str, NetworkSpec], device: torch.device
) -> Guidance:
    """The guidance of a training.

    ``folders`` are its inputs by role (``expert:<name>``, ``score``, ``score:<topology>``); ``networks`` says what
    each online expert is.
    """
    wanted = spec.guidance.experts
    scores = Scores({role: folder for role, folder in folders.items() if role.startswith("score")})
    experts: Experts | None = None
    if spec.guidance.source == "online":
        opened = [load_network(networks[name], folders[f"expert:{name}"] / WEIGHTS) for name in wanted]
        experts = OnlineExperts(opened, device, spec.precision == "bf16")
    elif spec.guidance.source == "cached":
        experts = CachedExperts([scores.views(name) for name in wanted], device)
    if spec.curriculum is None:
        return Guidance(spec.guidance, experts, seed=spec.seed)
    curriculum, strata = build_curriculum(spec.curriculum, wanted, scores)
    return Guidance(spec.guidance, experts, curriculum, strata, spec.seed)
