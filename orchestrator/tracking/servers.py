"""One run of a tracking server for one training, found again by the training's identity.

Ray's own callbacks for Tune (``MLflowLoggerCallback``, ``WandbLoggerCallback``) are not used: they open a new run for a
trial that goes on after an interruption, count reports instead of steps, and know nothing of the ladder and the final
students. Here all trainings are sent the same rows the same way.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from orchestrator.artifacts.addresses import address
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.tracking.names import ACCURACY, Value, hyperparameters
from orchestrator.tracking.settings import Tracking, quiet_clients
from orchestrator.tracking.training import TrackedTraining


class TrackedRun(Protocol):
    """A run on a tracking server."""

    def row(self, step: int, values: Mapping[str, float]) -> None:
        """Add the values of a step, unless the server has that step already."""
        ...

    def close(self, well: bool) -> None:
        """The training has ended."""
        ...


def open_run(tracking: Tracking, job: TrackedTraining, spec: TrainSpec) -> TrackedRun:
    """The training's run: a new one, or the one that an interrupted training has left."""
    quiet_clients()
    return MlflowRun(tracking, job, spec) if tracking.to == "mlflow" else WandbRun(tracking, job, spec)


def parameters(job: TrackedTraining, spec: TrainSpec) -> dict[str, Value]:
    """Returns a training's parameters on a server: the hyper-parameters, and the rest of its spec by name."""
    return hyperparameters(job.facts, spec) | {
        "network": spec.network.name,
        "guidance": spec.guidance.kind,
        "experts": ", ".join(spec.guidance.experts) or "none",
        "batch_size": spec.batch_size,
        "optimizer": spec.optimizer.name,
        "learning_rate": spec.optimizer.learning_rate,
        "weight_decay": spec.optimizer.weight_decay,
        "schedule": spec.optimizer.schedule,
        "augmentation": spec.augmentation,
        "views": spec.views,
        "precision": spec.precision,
        "keep": spec.keep,
    }


def tags(job: TrackedTraining) -> dict[str, str]:
    """Returns the tags of a run: identity, part, method, and as ``artifact`` the folder of the training's artifact."""
    facts = job.facts
    found = {"identity": job.identity, "kind": facts.part or "none"}
    if facts.method:
        found["method"] = facts.method
    return found if facts.part == "trial" else found | {"artifact": address(job.store, "artifacts", job.identity)}


class MlflowRun:
    """A run of MLflow, through its client: the fluent interface allows one run a process at a time."""

    def __init__(self, tracking: Tracking, job: TrackedTraining, spec: TrainSpec) -> None:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(tracking_uri=tracking.uri)
        experiment = self.client.get_experiment_by_name(tracking.experiment)  # ``tracking.prepare`` has made it
        if experiment is None:
            raise RuntimeError(f"the experiment {tracking.experiment} is gone")
        named = f"tags.identity = '{job.identity}'"
        found = self.client.search_runs([experiment.experiment_id], named, max_results=1)
        self.logged: set[int] = set()
        if found:
            self.run_id = found[0].info.run_id
            self.client.update_run(self.run_id, status="RUNNING")
            self.logged = {point.step for point in self.client.get_metric_history(self.run_id, ACCURACY.tag)}
        else:
            run = self.client.create_run(experiment.experiment_id, run_name=job.name, tags=tags(job))
            self.run_id = run.info.run_id
        values = [Param(name, str(value)) for name, value in parameters(job, spec).items()]
        self.client.log_batch(self.run_id, params=values)

    def row(self, step: int, values: Mapping[str, float]) -> None:
        if step in self.logged:
            return
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(self.run_id, metrics=[Metric(tag, value, now, step) for tag, value in values.items()])

    def close(self, well: bool) -> None:
        self.client.set_terminated(self.run_id, "FINISHED" if well else "FAILED")


class WandbRun:
    """A run of Weights & Biases. Its client leaves out steps that the server has already."""

    def __init__(self, tracking: Tracking, job: TrackedTraining, spec: TrainSpec) -> None:
        import wandb

        about = tags(job)
        server = {"base_url": tracking.uri} if tracking.uri else {}
        self.run = wandb.init(
            project=tracking.experiment, id=job.identity, name=job.name, resume="allow", reinit="create_new",
            mode="offline" if tracking.offline else "online", dir=tracking.folder,
            group=about.get("method", about["kind"]), job_type=about["kind"], config=parameters(job, spec) | about,
            # What this process prints, the machine and the code are none of the server's business.
            settings=wandb.Settings(
                console="off", silent=True, x_disable_stats=True, x_disable_meta=True, x_save_requirements=False,
                disable_code=True, disable_git=True, **server,
            ),
        )  # fmt: skip

    def row(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def close(self, well: bool) -> None:
        self.run.finish(exit_code=0 if well else 1)
