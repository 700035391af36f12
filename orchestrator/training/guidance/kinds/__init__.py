"""Kinds of teaching, a file each; every module of this folder is imported, which registers its class."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import numpy.typing as npt

from curricula.curriculum import Curriculum
from orchestrator.pipeline.specs import GuidanceSpec
from orchestrator.training.guidance.experts import Experts
from orchestrator.training.guidance.teaching import KINDS, Teaching

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)


def new_teaching(
    guidance: GuidanceSpec, experts: Experts | None = None, curriculum: Curriculum | None = None,
    strata: npt.NDArray[np.int64] | None = None, seed: int = 0,
) -> Teaching:  # fmt: skip
    """Returns the teaching of the guidance's kind. Arguments and errors are those of ``Teaching``."""
    return KINDS[guidance.kind](guidance, experts, curriculum, strata, seed)
