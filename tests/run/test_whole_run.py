"""A whole run: every artifact, the report, the curves; and a second one without work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator.artifacts import scores, trained
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.training.data.images import load
from orchestrator.training.guidance.experts import ready_to_teach
from orchestrator.training.networks import load_network
from tests.report.written import fits
from tests.run.conftest import TINY, Finished, Place, copy_of

Run = tuple[Place, Finished]


def test_a_run_ends_with_exit_code_0_and_a_table_of_every_method(undisturbed: Run) -> None:
    _, finished = undisturbed
    assert finished.code == 0, finished.err[-3000:]
    for method in TINY["methods"]:
        assert f"| {method} " in finished.out


def test_progress_is_plain_lines_without_control_characters(undisturbed: Run) -> None:
    _, finished = undisturbed
    assert "train/plain_cnn_8 done" in finished.out
    assert "\x1b" not in finished.out + finished.err and "\r" not in finished.out


def test_the_report_is_whole(undisturbed: Run) -> None:
    place, _ = undisturbed
    report = place.report()
    fits(report)
    assert report["run"]["complete"]
    assert len(report["methods"]) == len(TINY["methods"]) * 2
    assert all(0 <= row["test_accuracy"] <= 1 and len(row["weights_sha256"]) == 64 for row in report["methods"])
    assert [trial["status"] for trial in report["search"]["trials"]] == ["finished"] * 4
    assert all(stage["end"] >= stage["start"] and stage["node"] for stage in report["stages"])
    assert all(network["parameters"] for network in report["networks"])


def test_a_search_leaves_its_trials_where_the_report_finds_them_while_it_goes_on(undisturbed: Run) -> None:
    place, _ = undisturbed
    identity = place.artifacts()["search"]["identity"]
    left = json.loads((place.storage / "trials" / f"{identity}.json").read_text())
    assert left == place.report()["search"]["trials"]


def test_both_teacher_assistants_train_at_the_same_time(undisturbed: Run) -> None:
    stages = {stage["name"]: stage for stage in undisturbed[0].report()["stages"]}
    first, second = stages["train/plain_cnn_6"], stages["train/plain_cnn_4"]
    assert max(first["start"], second["start"]) < min(first["end"], second["end"])


def test_the_stored_views_are_the_experts_logits_of_the_same_pixels(undisturbed: Run) -> None:
    place, _ = undisturbed
    records = place.artifacts()
    folder = {name: place.storage / "artifacts" / record["identity"] for name, record in records.items()}
    data = load(folder["ingest"], root=".", augmentation="crop", views_seed=0, device=torch.device("cpu"))
    numbers = np.array([5, 0, 77, 300])
    for number, expert in enumerate(scores.read_about(FolderFiles(folder["score"])).experts):
        network = NetworkSpec.from_plain(records[f"train/{expert}"]["spec"]["network"])
        opened = ready_to_teach(load_network(network, folder[f"train/{expert}"] / WEIGHTS), torch.device("cpu"))
        stored = np.load(folder["score"] / scores.views_file(number))
        for view in range(3):
            with torch.inference_mode():
                logits = opened(data.images.views(data.train[numbers], [view])[0]).numpy()
            np.testing.assert_allclose(stored[view, numbers], logits, rtol=2e-3, atol=2e-3)


@pytest.mark.long
@pytest.mark.thorough
def test_tas_that_read_stored_outputs_learn_as_those_with_experts_beside_them_do(
    make_place: Callable[[], Place], ray_address: str
) -> None:
    place = make_place()  # one for both: the teacher is the same
    losses = {}
    for source in ("cached", "online"):
        only = {"methods": ["kd_smallest"], "seeds": [0], "search": {"trials": 0}}
        place.recipe({**only, "difficulty": {"scorer": "mean_loss"}})  # which needs no folds
        # 30 steps are 3 passes, as many as there are views; small steps, since large ones blow fp16's rounding up.
        finished = place.run(
            f"distillation.source={source}", "ladder.topology=dense", "training.optimizer.learning_rate=0.003",
            "ladder.networks=[plain_cnn_6, plain_cnn_4, plain_cnn_2]", address=ray_address,
        )  # fmt: skip
        assert finished.code == 0, finished.err[-3000:]
        (ta,) = (stage for stage in place.report()["stages"] if stage["name"] == "train/plain_cnn_4")
        folder = place.storage / "artifacts" / ta["id"]
        assert json.loads((folder / "artifact.json").read_text())["spec"]["guidance"]["source"] == source
        history = trained.read_history(FolderFiles(folder))
        losses[source] = [row["training_loss"] for row in history]
    assert losses["cached"] == pytest.approx(losses["online"], rel=0.01)


def test_a_second_run_does_nothing(undisturbed: Run) -> None:
    place, _ = undisturbed
    before = {path: path.stat().st_mtime_ns for path in place.storage.glob("artifacts/**/*")}
    finished = place.run()
    assert finished.code == 0 and "nothing left to do" in finished.out
    assert {path: path.stat().st_mtime_ns for path in place.storage.glob("artifacts/**/*")} == before
    assert all(stage["reused"] for stage in place.report()["stages"])


def test_more_trials_leave_the_ladder_alone_and_keep_the_trials_that_were_made(
    undisturbed: Run, make_place: Callable[[], Place], ray_address: str
) -> None:
    place = copy_of(undisturbed[0], make_place)
    before = {trial["id"]: trial for trial in place.report()["search"]["trials"]}
    finished = place.run("search.trials=6", address=ray_address)
    assert finished.code == 0, finished.err[-3000:]
    report = place.report()
    made = {stage["name"] for stage in report["stages"] if not stage["reused"]}
    assert made and all(name.startswith(("search", "student/ces_", "evaluate/ces_")) for name in made)
    trials = {trial["id"]: trial for trial in report["search"]["trials"]}
    # The sampler's plan depends on how many trials it has, so only the first round is sure to be asked again.
    assert len(trials) == 6 and [trials[number] for number in (0, 1)] == [before[number] for number in (0, 1)]


@pytest.mark.parametrize("scheduler", ["asha", "halving"])
def test_early_stopping_ends_some_trials_before_their_last_step(
    undisturbed: Run, make_place: Callable[[], Place], ray_address: str, scheduler: str
) -> None:
    place = copy_of(undisturbed[0], make_place)
    only_searched = ("methods=[ces_kd]", "seeds=[0]")
    finished = place.run(f"search.scheduler={scheduler}", "search.trials=6", *only_searched, address=ray_address)
    assert finished.code == 0, finished.err[-3000:]
    search = place.report()["search"]
    assert {trial["status"] for trial in search["trials"]} <= {"finished", "stopped"}
    assert all((trial["steps"] == 200) == (trial["status"] == "finished") for trial in search["trials"])
    assert sum(steps for trial in search["trials"] for steps, _ in trial["rungs"]) < 6 * 200
    assert search["best"]["status"] == "finished"


def test_a_damaged_artifact_is_named_set_aside_and_made_again_the_same(
    undisturbed: Run, make_place: Callable[[], Place], ray_address: str
) -> None:
    place = copy_of(undisturbed[0], make_place)
    record = place.artifacts()["student/kd/seed-1"]
    weights = place.storage / "artifacts" / record["identity"] / WEIGHTS
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    finished = place.run(address=ray_address)
    assert finished.code == 0, finished.err[-3000:]
    assert record["identity"] in finished.out and "does not match its checksum" in finished.out
    assert list((place.storage / "set-aside").iterdir())
    again = place.artifacts()["student/kd/seed-1"]
    assert again["results"]["weights_sha256"] == record["results"]["weights_sha256"]


@pytest.mark.parametrize("leftover", ["scratch", "checkpoints"])
def test_no_checkpoint_or_scratch_folder_is_left_behind(undisturbed: Run, leftover: str) -> None:
    folder: Path = undisturbed[0].storage / leftover
    assert not folder.exists() or not list(folder.iterdir())
