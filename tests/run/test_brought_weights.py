"""Experts with imported weights: evaluated before students train, with a warning where they know nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from orchestrator.artifacts.store import Store
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.pipeline.kinds import ScoreSpec
from orchestrator.pipeline.placement import Facts
from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.recipe.resources import Resources
from orchestrator.stages import pretrained, score
from orchestrator.stages.errors import StageError
from orchestrator.stages.job import Job
from orchestrator.training.networks import new_network
from orchestrator.training.weights.files import read_safetensors
from tests.run.conftest import Finished, Place

pytestmark = pytest.mark.long

CLASS_NAMES = [f"pattern {label}" for label in range(4)]


def write(path: Path, name: str, scale: float = 1.0, metadata: dict[str, str] | None = None) -> dict[str, Tensor]:
    """Weights of an untrained network in fp16 behind a prefix; ``scale`` multiplies its first and its last layer."""
    network = new_network(NetworkSpec(name=name, classes=4, channels=1, image_size=16), seed=0)
    state = {key: value.half() if value.is_floating_point() else value for key, value in network.state_dict().items()}
    if scale > 1:
        names = list(state)
        state |= {key: state[key].float() * scale for key in (names[0], names[-2])}
    safetensors.torch.save_file({f"module.{key}": value for key, value in state.items()}, path, metadata)
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


@pytest.fixture(scope="module")
def run(make_place: Callable[[], Place], ray_address: str) -> tuple[Place, Finished]:
    """A run with an expert that guesses, one whose logits fp16 can't hold, and one whose logits are infinite."""
    place = make_place()
    ladder = {"plain_cnn_8": 1.0, "plain_cnn_6": 1e6, "plain_cnn_4": 1e30}
    for name, scale in ladder.items():
        write(place.folder / f"{name}.safetensors", name, scale)
    networks = [{"name": name, "weights": f"{name}.safetensors"} for name in ladder]
    place.recipe(
        {"ladder": {"networks": [*networks, "plain_cnn_2"]}, "methods": ["labels", "kd", "dgkd"], "seeds": [0],
         "distillation": {"views": 2, "source": "cached"}, "search": {"trials": 0}}
    )  # fmt: skip
    return place, place.run(address=ray_address)


def test_conversions_of_the_weights_are_reported(run: tuple[Place, Finished]) -> None:
    out = run[1].out
    assert "weights plain_cnn_8.safetensors: the prefix 'module.' of all its names is stripped" in out
    assert "of fp16 converted to fp32" in out


def test_the_artifact_has_the_network_s_names_and_types_and_the_class_names(
    run: tuple[Place, Finished],
) -> None:
    record = run[0].artifacts()["pretrained/plain_cnn_8"]
    found = read_safetensors(run[0].storage / "artifacts" / record["identity"] / WEIGHTS)
    wanted = write(run[0].folder / "again.safetensors", "plain_cnn_8")
    assert found.tensors.keys() == wanted.keys() and found.class_names == tuple(CLASS_NAMES)
    assert all(torch.equal(found.tensors[name], value) for name, value in wanted.items())


def test_an_expert_that_guesses_is_named_before_students_train_and_at_the_end(run: tuple[Place, Finished]) -> None:
    out = run[1].out
    named = out.index("warning: expert plain_cnn_8 is right on")
    assert named < out.index("student/kd/seed-0 done")
    assert out.rindex("warning: expert plain_cnn_8 is right on") > named
    assert any("expert plain_cnn_8" in text for text in run[0].report()["warnings"])


def test_an_expert_with_infinite_logits_fails_with_its_dependents(run: tuple[Place, Finished]) -> None:
    assert "pretrained/plain_cnn_4: ladder.networks: the logits of plain_cnn_4 are not finite" in run[1].err


def test_an_expert_whose_logits_fp16_can_t_hold_fails_its_score(run: tuple[Place, Finished]) -> None:
    assert run[1].code == 1 and "Traceback" not in run[1].err
    assert "the logits of plain_cnn_6 are too large for fp16" in run[1].err
    assert "look at its weights and the normalisation that they were made for" in run[1].err


def test_stages_that_do_not_need_them_are_done(run: tuple[Place, Finished]) -> None:
    tested = {row["method"]: row["test_accuracy"] for row in run[0].report()["methods"]}
    assert tested["labels"] is not None and tested["kd"] is not None and tested["dgkd"] is None


def test_weights_that_a_training_made_carry_the_names_of_the_classes(run: tuple[Place, Finished]) -> None:
    record = run[0].artifacts()["student/labels/seed-0"]
    found = read_safetensors(run[0].storage / "artifacts" / record["identity"] / WEIGHTS)
    assert found.class_names == tuple(CLASS_NAMES)


@pytest.mark.parametrize(
    ("names", "said"),
    [(CLASS_NAMES[::-1], "another order: class 0 is 'pattern 3'"), (None, "have changed since the run was planned")],
)
def test_the_stage_refuses_other_classes_and_weights_that_have_changed(
    names: list[str] | None, said: str, run: tuple[Place, Finished], tmp_path: Path
) -> None:
    place, store = run[0], Store(str(run[0].storage))
    record, data = place.artifacts()["pretrained/plain_cnn_8"], store.find(place.artifacts()["ingest"]["identity"])
    assert data is not None
    path = tmp_path / "w.safetensors"
    write(path, "plain_cnn_8", metadata={"class_names": json.dumps(names)} if names else {"a": "b"})
    spec = record["spec"]
    if names:
        spec = spec | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    job = Job(
        kind="pretrained", name="pretrained/x", identity="pretrained-0", spec=spec, facts=Facts(weights=path),
        inputs={"data": data}, storage=str(place.storage), dataset_root="", resources=Resources(),
    )  # fmt: skip
    with pytest.raises(StageError, match=said):
        pretrained.run(job)


def test_a_score_names_the_expert_and_an_image_whose_logits_are_not_finite() -> None:
    network = NetworkSpec(name="plain_cnn_2", classes=2, channels=1, image_size=16)
    spec = ScoreSpec(
        experts=("small", "large"), networks=(network, network), views=0, views_seed=0, augmentation="none",
        precision="fp32", threads=1,
    )  # fmt: skip
    clean = np.zeros((3, 2, 2), np.float32)
    score.check_finite(spec, {"number": np.array([7, 8, 9]), "clean": clean})
    clean[1, 1, 0] = np.nan
    with pytest.raises(StageError, match="the logits of large are not finite, on training image 8"):
        score.check_finite(spec, {"number": np.array([7, 8, 9]), "clean": clean})
