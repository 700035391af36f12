"""Gauges of running trainings among Ray's metrics, which Prometheus collects from every node and Grafana draws."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

PREFIX = "ces_kd_"  # Ray puts ``ray_`` before it
GAUGES = {
    "images_per_second": "images a second of all workers of a training, without validations",
    "step": "steps that a training has taken",
    "waiting_for_data": "share of the time since the last validation in which a training waited for images, in [0, 1]",
}
TAGS = ("recipe", "stage")


class TrainingGauges:
    """Gauges of one training, tagged by the recipe's name and the stage's.

    A gauge that can't be set costs no training its work.
    """

    def __init__(self, recipe: str, stage: str) -> None:
        self.tags = dict(zip(TAGS, (recipe, stage), strict=True))

    def show(self, **values: float | None) -> None:
        """Set gauges by their names in ``GAUGES``; None leaves one as it is. Does nothing outside Ray."""
        with suppress(Exception):
            import ray

            if ray.is_initialized():
                for name, value in values.items():
                    _gauge(name).set(value, self.tags)

    def close(self) -> None:
        """Show that the training goes on no more: Ray exports the last values as long as the process lives."""
        self.show(images_per_second=0.0, waiting_for_data=0.0)


@cache
def _gauge(name: str) -> Any:
    from ray.util.metrics import Gauge

    return Gauge(f"{PREFIX}{name}", GAUGES[name], TAGS)
