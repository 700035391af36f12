"""CPU time of Ray Train's controller process."""

from __future__ import annotations

import time
from typing import Any

from ray.train import Checkpoint, UserCallback

from orchestrator.stages.job import Job


class ControllerCost(UserCallback):
    """Callback in the controller that posts its CPU time, start-up included, at each report of the workers."""

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None) -> None:
        job: Job = run_context.train_loop_config["job"]
        job.status.post_controller_seconds(job.name, time.process_time())
