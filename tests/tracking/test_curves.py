"""TensorBoard's files: the list of curves, and continuity after an interruption."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from orchestrator.artifacts.store import Store
from orchestrator.pipeline.placement import Facts
from orchestrator.stages.job import Job
from orchestrator.stages.status import NoStatusReceiver, Status
from orchestrator.tracking.logbook import Logbook
from orchestrator.tracking.names import SCALARS
from orchestrator.tracking.tensorboard import Curves
from tests.artifacts.stores import DownStore, RemoteStore
from tests.tracking.examples import STEPS, curves, job, train_to_the_end, train_until_killed
from tests.training.examples import pacing, teaching, training

SELECTED: dict[str, Any] = {"guidance": teaching("selected"), "curriculum": pacing("promote")}
TIMES = ("speed/images_per_second", "speed/waiting_for_data")


def folder_of(made: Job, storage: Path) -> Path:
    return storage / "logs" / made.name / made.short_identity


def test_a_training_by_a_curriculum_has_every_curve_at_every_validation(tmp_path: Path) -> None:
    made = job(tmp_path)
    train_to_the_end(made, training(**SELECTED))
    found = curves(folder_of(made, tmp_path))
    named = {scalar.tag for scalar in SCALARS.values()}
    experts = {name for name in found if name.startswith("experts/")}
    assert experts and set(found) == named | experts
    opened = [name for name in named if [step for step, _ in found[name]] != STEPS]
    assert opened == []


def test_a_student_of_one_expert_that_is_named_with_colons_has_its_curves(tmp_path: Path) -> None:
    facts = Facts(part="student", method="kd:timm:resnet18", seed=0)
    made = job(tmp_path, "student/kd:timm:resnet18/seed-0", facts=facts)
    train_to_the_end(made, training(guidance=teaching("single")))
    found = curves(folder_of(made, tmp_path))
    assert [at for at, _ in found["accuracy/validation"]] == STEPS


def test_a_training_on_labels_has_no_curves_of_a_curriculum(tmp_path: Path) -> None:
    made = job(tmp_path, "train/plain_cnn_2", facts=Facts(part="expert"))
    train_to_the_end(made, training())
    assert not [name for name in curves(folder_of(made, tmp_path)) if name.startswith(("curriculum", "experts"))]


@pytest.mark.parametrize("step", [4, 12])
def test_a_training_that_was_killed_and_goes_on_has_every_step_once(tmp_path: Path, step: int) -> None:
    undisturbed, killed = job(tmp_path / "undisturbed"), job(tmp_path / "killed")
    train_to_the_end(undisturbed, training(**SELECTED))
    train_until_killed(killed, training(**SELECTED), step)
    train_to_the_end(killed, training(**SELECTED))
    found = curves(folder_of(killed, tmp_path / "killed"))
    wanted = curves(folder_of(undisturbed, tmp_path / "undisturbed"))
    for name in TIMES:
        assert [at for at, _ in found.pop(name)] == [at for at, _ in wanted.pop(name)] == STEPS
    assert found == wanted


def test_on_an_object_store_the_files_are_brought_there_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bucket").mkdir()
    store = RemoteStore(tmp_path)
    monkeypatch.setattr(Job, "store", property(lambda _: store))
    made = job(tmp_path)
    train_to_the_end(made, training())
    assert isinstance(store, Store) and store.local_root is None
    found = curves(folder_of(made, tmp_path / "bucket"))
    assert [at for at, _ in found["accuracy/validation"]] == STEPS


@dataclass
class Listening(NoStatusReceiver):
    posted: dict[str, Status] = field(default_factory=dict)

    def post(self, stage: str, status: Status) -> None:
        self.posted[stage] = status


@pytest.mark.parametrize("what", ["row", "close"])
def test_a_place_that_takes_no_curves_costs_them_and_not_the_training(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("[Errno 28] No space left on device")

    monkeypatch.setattr(Curves, what, full)
    receiver = Listening()
    train_to_the_end(job(tmp_path, status=receiver), training())
    assert receiver.posted["student/kd/seed-0: curves"] == {
        "doing": "no longer written: [Errno 28] No space left on device; the training itself goes on"
    }


def test_a_storage_that_takes_no_curves_at_the_end_costs_them_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Listening()
    down = DownStore(tmp_path)
    monkeypatch.setattr(Job, "store", property(lambda _: down))
    with Logbook(job(tmp_path, status=receiver), training()) as logbook:
        logbook.row({"step": 4, "training_loss": 0.5})
    assert "no longer written" in receiver.posted["student/kd/seed-0: curves"]["doing"]
