"""Tracking options, and their errors before anything trains."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from orchestrator.artifacts.store import Store
from orchestrator.execution.preflight import check_tracking
from orchestrator.recipe.schema import RecipeError
from orchestrator.tracking.settings import prepare, tracking_of
from tests.artifacts.stores import remote
from tests.examples import identities, planned, refusal, tiny


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)


def test_tracking_is_off_by_default(tmp_path: Path) -> None:
    assert tracking_of(tiny(), Store(str(tmp_path))) is None


def test_tracking_changes_no_identity() -> None:
    tracked = planned("tracking=mlflow", "tracking_uri=http://somewhere:5000")
    assert identities(tracked) == identities(planned()) and tracked.run_id == planned().run_id


def test_mlflow_has_a_database_in_the_storage_unless_another_place_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(str(tmp_path))

    def uri(*overrides: str) -> str | None:
        found = tracking_of(tiny("tracking=mlflow", *overrides), store)
        assert found and found.experiment == "tiny"
        return found.uri

    assert uri() == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://of-the-environment:5000")
    assert uri() == "http://of-the-environment:5000"
    assert uri("tracking_uri=http://of-the-recipe:5000") == "http://of-the-recipe:5000"


def test_a_database_by_a_relative_path_is_the_same_for_workers_in_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = tracking_of(tiny("tracking=mlflow", "tracking_uri=sqlite:///own.db"), Store(str(tmp_path)))
    assert found and found.uri == f"sqlite:///{tmp_path}/own.db"


def test_an_object_store_needs_a_server(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="set tracking_uri to a tracking server"):
        check_tracking(tiny("tracking=mlflow"), remote(tmp_path))


@pytest.mark.parametrize(("package", "command"), [("mlflow", "mlflow-skinny"), ("wandb", "wandb")])
def test_a_package_that_is_not_installed_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, command: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=f"pip install '{command}") as refused:
        check_tracking(tiny(f"tracking={package}"), Store(str(tmp_path)))
    assert "\n" not in str(refused.value)


def test_a_place_that_mlflow_can_not_use_is_refused_with_the_field(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed (extra mlflow)")
    found = tracking_of(tiny("tracking=mlflow", "tracking_uri=nonsense://x"), Store(str(tmp_path)))
    assert found
    with pytest.raises(RecipeError, match="tracking_uri: MLflow can't use nonsense") as refused:
        prepare(found)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["tracking=tensorboard"], "tracking: found 'tensorboard'"),
        (["tracking_uri=http://x:5000"], "tracking is none"),
        (["tracking=mlflow", "tracking_uri=http://me:secret@x:5000"], "tracking_uri: holds a password"),
    ],
)
def test_invalid_tracking_is_refused(overrides: list[str], part: str) -> None:
    assert part in refusal(*overrides)


def test_a_password_is_not_shown_in_the_refusal() -> None:
    assert "secret" not in refusal("tracking=mlflow", "tracking_uri=http://me:secret@x:5000")
