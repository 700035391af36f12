"""Section ``resources`` of a recipe: its requests to Ray. Imports neither torch nor ray."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from orchestrator.locations import local_path
from orchestrator.recipe.section import Section
from orchestrator.recipe.workers import ONE, Workers


class Resources(Section):
    """Resource requests to Ray. They change results by rounding alone; cpus are in identities where CPUs compute."""

    workers: Workers = Field(
        ONE,
        description="Ray Train workers of each expert, which share a batch; with two limits they come and go with the "
        "nodes of the cluster",
    )
    student_workers: int = Field(1, gt=0, description="workers of each student, trial and fold; they share a batch")
    cpus: int = Field(
        1, gt=0, description="CPUs of each worker, student and trial: its threads, and as many decoders of photos"
    )
    gpus: float = Field(0, ge=0, description="GPUs of each expert's worker")
    student_gpus: float = Field(
        0, ge=0, description="GPUs of a worker of a student, trial or fold, or of a scoring actor; fractions share one"
    )
    micro_batch: int | None = Field(
        None,
        gt=0,
        description="images, at most, that a worker takes through a network at once; gradients are added up over them. "
        "It must hold the images of a norm group (training.norm_batch)",
    )
    score_workers: int = Field(2, gt=0, description="processes, at most, that compute experts' logits")
    cache: Annotated[str, AfterValidator(local_path)] | None = Field(
        None,
        description="folder (an absolute path) on a fast disk of each node for copies of files from an object store "
        "(default: below the temporary folder)",
    )
    cache_gb: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="10^9 bytes of those copies on a node, at most: the least recently used ones go first, but none "
        "that is in use (default: nine tenths of the disk)",
    )
    checkpoint_seconds: float = Field(
        15,
        ge=0,
        description="least seconds between two checkpoints of a training. They are written at validations, and also "
        "between those that are farther apart, if they take less than a twentieth of the time",
    )
    resize_seconds: float = Field(
        30,
        ge=0,
        description="workers between two limits: least seconds for which they stay before they end for more of them, "
        "since it takes about 12 to start them",
    )

    @field_validator("cache")
    @classmethod
    def _absolute(cls, folder: str | None) -> str | None:
        if folder is not None and not os.path.isabs(folder):
            raise ValueError(f"found {folder!r}; give an absolute path, since processes work in folders of their own")
        return folder
