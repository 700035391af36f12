"""A whole run tracked by MLflow: killed, resumed, repeated; read back from its database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.run.conftest import Place
from tests.run.test_interruption import start_until
from tests.tracking.examples import curves

pytestmark = [pytest.mark.long, pytest.mark.thorough]

mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed (extra mlflow)")

SMALL: dict[str, Any] = {
    "ladder": {"networks": [{"name": "plain_cnn_6", "steps": 400}, "plain_cnn_4", "plain_cnn_2"]},
    "difficulty": {"scorer": "mean_loss"},  # which needs no folds
    "search": {"trials": 2, "round_size": 2, "steps": 60},
    "methods": ["labels", "ces_kd"],
    "seeds": [0],
    "tracking": "mlflow",
}


def history_of(place: Place, name: str) -> Path:
    return place.storage / "artifacts" / place.artifacts()[name]["identity"] / "history.json"


def test_each_training_is_one_run_however_often_the_command_is_given(
    make_place: Callable[[], Place], ray_address: str
) -> None:
    place = make_place()
    place.recipe(SMALL)

    def the_teacher_has_a_checkpoint(said: str) -> bool:
        return bool(list(place.storage.glob("checkpoints/*/checkpoint_*")))

    process = start_until(place, the_teacher_has_a_checkpoint)
    process.kill()
    process.wait()
    assert "train/plain_cnn_6" not in place.artifacts(), "it was killed too late to show anything"
    finished = place.run(address=ray_address)
    assert finished.code == 0, finished.err[-3000:]
    assert "tracking: MLflow, experiment tiny" in finished.out
    assert "nothing left to do" in place.run().out

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{place.storage}/mlflow/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    records = place.artifacts()
    trained = sorted(name for name, record in records.items() if record["kind"] == "train")
    trials = records["search"]["results"]["trials"]
    assert sorted(run.info.run_name for run in runs) == sorted([*trained, "search/000", "search/001"])
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in runs:
        steps = [point.step for point in client.get_metric_history(run.info.run_id, "accuracy/validation")]
        assert steps == sorted(set(steps)) and str(steps[-1]) == run.data.params["steps"], run.info.run_name
    (folder,) = place.storage.glob("logs/train/plain_cnn_6/*")
    assert len(list(folder.glob("events*"))) == 2, "the killed process has left none"
    steps = [step for step, _ in curves(folder)["loss/training"]]
    assert steps == [row["step"] for row in json.loads(history_of(place, "train/plain_cnn_6").read_text())]
    by_name = {run.info.run_name: run for run in runs}
    for name in trained:
        wanted = records[name]["results"]["validation_accuracy"]
        assert by_name[name].data.metrics["kept/validation_accuracy"] == pytest.approx(wanted)
        assert by_name[name].data.tags["artifact"].endswith(records[name]["identity"])
    for trial in trials:
        params = by_name[f"search/{trial['id']:03d}"].data.params
        assert all(params[name] == str(value) for name, value in trial["config"].items())
