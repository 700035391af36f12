"""Trainings tracked by Weights & Biases in its offline mode."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestrator.artifacts.store import Store
from orchestrator.recipe.schema import RecipeError
from orchestrator.tracking.settings import prepare, tracking_of
from tests.examples import tiny
from tests.tracking.examples import STEPS, job, train_to_the_end
from tests.training.examples import training

pytest.importorskip("wandb", reason="wandb is not installed (extra wandb)")


def test_a_training_is_written_to_the_storage_as_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    tracking = tracking_of(tiny("tracking=wandb"), Store(str(tmp_path)))
    assert tracking and "offline" in prepare(tracking)
    made = job(tmp_path, tracking=tracking)
    train_to_the_end(made, training())
    (file,) = tmp_path.glob(f"wandb/offline-run-*-{made.identity}/*.wandb")
    deadline = time.monotonic() + 20
    while file.read_bytes().count(b"loss/validation") < len(STEPS):  # a process of its client's writes it
        assert time.monotonic() < deadline
        time.sleep(0.1)
    content = file.read_bytes()
    assert b"plain_cnn_2" in content and b"student" in content


def test_a_client_that_is_not_logged_in_is_refused_before_anything_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    tracking = tracking_of(tiny("tracking=wandb", "tracking_uri=http://127.0.0.1:9"), Store(str(tmp_path)))
    assert tracking
    with pytest.raises(RecipeError, match="wandb login"):
        prepare(tracking)
