"""Tracking of trainings beside TensorBoard: MLflow or Weights & Biases. Never changes a result.

Imports neither torch nor ray, and a tracking library only where one is asked for.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.artifacts.store import Store
from orchestrator.recipe.schema import Recipe, RecipeError

SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Tracking:
    """A place for tracked runs.

    ``uri`` is MLflow's tracking URI, or the address of a Weights & Biases server (None: the one that its client is set
    up for). ``folder`` is where its own files go; ``offline``: Weights & Biases writes there and sends nothing.
    """

    to: Literal["mlflow", "wandb"]
    experiment: str
    uri: str | None
    folder: str | None
    offline: bool = False


def tracking_of(recipe: Recipe, store: Store) -> Tracking | None:
    """Returns the tracking that a recipe asks for; None for none.

    Raises:
        RecipeError: when MLflow's database can have no place in the storage.
    """
    if recipe.tracking == "none":
        return None
    local = store.local_root
    if recipe.tracking == "wandb":  # its client adds a folder of its own
        offline = os.environ.get("WANDB_MODE") == "offline"
        return Tracking("wandb", recipe.name, recipe.tracking_uri, str(local) if local else None, offline)
    folder = str(local / "mlflow") if local else None
    uri = recipe.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if uri is None:
        if folder is None:
            raise RecipeError(
                f"tracking is mlflow, but its database can't lie in the storage '{store.uri}', which is no mounted "
                "folder; set tracking_uri to a tracking server's address, such as http://host:5000"
            )
        uri = f"{SQLITE}{folder}/mlflow.db"
    if uri.startswith(SQLITE):  # workers have other working directories
        uri = f"{SQLITE}{Path(uri.removeprefix(SQLITE)).expanduser().absolute()}"
    return Tracking("mlflow", recipe.name, uri, folder)


def prepare(tracking: Tracking) -> str:
    """Create what all runs share, once and before any of them; returns a line that says where they will be.

    Raises:
        RecipeError: when the server or database can't be used.
    """
    if tracking.folder:
        Path(tracking.folder).mkdir(parents=True, exist_ok=True)
    quiet_clients()
    if tracking.to == "wandb":
        return _prepare_wandb(tracking)
    from mlflow.tracking import MlflowClient

    assert tracking.uri is not None
    # A password may stand before the @ of an address that comes from the environment.
    shown = tracking.uri if "@" not in tracking.uri else "MLFLOW_TRACKING_URI"
    try:
        client = MlflowClient(tracking_uri=tracking.uri)
        found = client.get_experiment_by_name(tracking.experiment)
        if found is None:
            own = tracking.uri.startswith(SQLITE) and tracking.folder
            client.create_experiment(
                tracking.experiment, artifact_location=f"file://{tracking.folder}/files" if own else None
            )
    except Exception as error:  # MLflow raises those of its databases and of its HTTP client too
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RecipeError(
            f"tracking_uri: MLflow can't use {shown}: {why} Give a server (http://host:5000) or a database "
            "(sqlite:////folder/mlflow.db), or set tracking=none."
        ) from error
    if found is not None and found.lifecycle_stage != "active":
        raise RecipeError(
            f"tracking: MLflow's experiment {tracking.experiment} at {shown} is deleted; restore it "
            f"(mlflow experiments restore -x {found.experiment_id}), or give the recipe another name"
        )
    return f"tracking: MLflow, experiment {tracking.experiment} at {shown}"


def _prepare_wandb(tracking: Tracking) -> str:
    import wandb

    if not tracking.offline and not wandb.login(host=tracking.uri, prompt=False):
        raise RecipeError(
            "tracking is wandb, but its client is not logged in; run `wandb login` on every node, or set "
            "WANDB_MODE=offline to write to the storage and send nothing"
        )
    where = f"offline, in {tracking.folder}/wandb" if tracking.offline else f"at {tracking.uri or 'its own server'}"
    return f"tracking: Weights & Biases, project {tracking.experiment} {where}"


def quiet_clients() -> None:
    """Set the clients' defaults in the environment: no usage reports, and no long wait for a lost server."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
