"""What leading a network's workers costs: Ray Train does that in a process of its own, its controller."""

from __future__ import annotations

import time
from typing import Any

from ray.train import Checkpoint, UserCallback

from orchestrator.stages.job import Job


class Leading(UserCallback):
    """Runs in the controller. Posts its processor time, its start included, each time that the workers report."""

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None) -> None:
        job: Job = run_context.train_loop_config["job"]
        job.board.post_leading(job.name, time.process_time())
