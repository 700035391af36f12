"""Trainings tracked by MLflow, read back from its database."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from orchestrator.artifacts.store import Store
from orchestrator.pipeline.placement import Facts
from orchestrator.recipe.schema import RecipeError
from orchestrator.stages.status import NoStatusReceiver, Status
from orchestrator.tracking.settings import Tracking, prepare, tracking_of
from tests.examples import tiny
from tests.tracking.examples import STEPS, job, train_to_the_end, train_until_killed
from tests.training.examples import teaching, training

mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed (extra mlflow)")


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    """A database of the storage's own, which is slow to make."""
    found = tracking_of(tiny("tracking=mlflow"), Store(str(tmp_path_factory.mktemp("storage"))))
    assert found is not None and "experiment tiny" in prepare(found)
    return found


def runs(tracking: Tracking, identity: str) -> list[mlflow.entities.Run]:  # type: ignore[name-defined]
    client = mlflow.MlflowClient(tracking_uri=tracking.uri)
    experiment = client.get_experiment_by_name("tiny")
    return list(client.search_runs([experiment.experiment_id], f"tags.identity = '{identity}'"))


def steps(tracking: Tracking, run: str, metric: str) -> list[int]:
    return [point.step for point in mlflow.MlflowClient(tracking_uri=tracking.uri).get_metric_history(run, metric)]


@pytest.mark.parametrize("method", ["kd", "kd:timm:resnet18"])
def test_a_training_is_a_run_with_parameters_and_a_metric_for_each_validation(
    method: str, tracking: Tracking, tmp_path: Path
) -> None:
    identity = f"train-{method}"
    facts = Facts(part="student", method=method, seed=0)
    made = job(tmp_path, f"student/{method}/seed-0", tracking, facts, identity=identity)
    train_to_the_end(made, training(guidance=teaching("single")))
    (run,) = runs(tracking, identity)
    assert (run.info.run_name, run.info.status) == (made.name, "FINISHED")
    assert run.data.tags["kind"] == "student" and run.data.tags["method"] == method
    assert run.data.params["network"] == "plain_cnn_2" and run.data.params["temperature"] == "4.0"
    assert steps(tracking, run.info.run_id, "loss/validation") == STEPS


def test_a_training_that_was_killed_goes_on_in_its_run_and_logs_no_step_twice(
    tracking: Tracking, tmp_path: Path
) -> None:
    made = job(tmp_path, tracking=tracking, identity="train-killed")
    train_until_killed(made, training(), step=12)
    (run,) = runs(tracking, "train-killed")
    assert run.info.status == "RUNNING"
    train_to_the_end(made, training())
    (run,) = runs(tracking, "train-killed")
    assert run.info.status == "FINISHED"
    assert steps(tracking, run.info.run_id, "loss/training") == STEPS


def test_an_experiment_that_was_deleted_is_refused_before_anything_trains(tracking: Tracking) -> None:
    client = mlflow.MlflowClient(tracking_uri=tracking.uri)
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(RecipeError, match=r"experiment gone at .+ is deleted"):
        prepare(dataclasses.replace(tracking, experiment="gone"))


class Said(NoStatusReceiver):
    """A receiver that keeps what is posted."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def post(self, stage: str, status: Status) -> None:
        if "doing" in status:
            self.said.append(status["doing"])


def test_a_server_that_is_lost_costs_its_rows_and_not_the_training(tmp_path: Path) -> None:
    lost, receiver = Tracking("mlflow", "tiny", "http://127.0.0.1:9", None), Said()
    made = job(tmp_path, tracking=lost, status=receiver)
    train_to_the_end(made, training())
    assert len(receiver.said) == 1 and "no longer sent to mlflow" in receiver.said[0]
    assert list(tmp_path.glob("logs/student/kd/seed-0/*/events*"))
