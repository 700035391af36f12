"""Distillation losses, a module each; every module of this folder is imported, which registers its class.

Their names, parameters and defaults are rows of ``recipe/losses.py``.
"""

from __future__ import annotations

import importlib
import pkgutil

from orchestrator.pipeline.specs import GuidanceSpec
from orchestrator.training.guidance.distillation.base import CLASSES, DistillationLoss

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)


def new_loss(guidance: GuidanceSpec) -> DistillationLoss:
    """Returns the distillation loss of a guidance."""
    return CLASSES[guidance.loss](guidance.temperature, guidance.loss_parameters.get(guidance.loss, {}))
