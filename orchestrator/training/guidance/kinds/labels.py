"""labels: the labels alone, without an expert."""

from __future__ import annotations

from orchestrator.training.guidance.experts import Shown
from orchestrator.training.guidance.teaching import Teaching, register


@register("labels")
class Labels(Teaching):
    """Cross-entropy against the labels."""

    def target(self, shown: Shown, step: int, progress: float) -> None:
        return None
