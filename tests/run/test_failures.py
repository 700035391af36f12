"""Failures: a failed stage fails only its dependents, bad images are named, excessive requests are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.run.conftest import TINY, Place

pytestmark = pytest.mark.long


def photos(root: Path, per_class: int) -> Path:
    """Small JPEGs of two classes, one bright, one dark, in ImageNet's layout; returns a training file."""
    generator = np.random.default_rng(0)
    for subset, count in (("train", per_class), ("val", 4)):
        for label, level in (("bright", 200), ("dark", 60)):
            folder = root / subset / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(generator.normal(level, 20, (40, 48, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.jpg")
    return root / "train" / "bright" / "3.jpg"


def test_a_diverging_loss_fails_its_stage_and_its_dependents_only(
    make_place: Callable[[], Place], ray_address: str
) -> None:
    place = make_place()
    place.recipe(
        {
            "ladder": {"networks": ["plain_cnn_6", {"name": "plain_cnn_4", "learning_rate": 1.0e12}, "plain_cnn_2"]},
            "distillation": {"source": "online"},
            "methods": ["labels", "kd", "kd_smallest"],
            "seeds": [0],
        }
    )
    finished = place.run(address=ray_address)
    assert finished.code == 1
    table = finished.err
    assert "train/plain_cnn_4: the loss was no longer finite at step" in table and "learning rate" in table
    assert "student/kd_smallest/seed-0" in table and "Traceback" not in table
    report = place.report()
    tested = {row["method"]: row["test_accuracy"] for row in report["methods"]}
    assert tested["labels"] is not None and tested["kd"] is not None and tested["kd_smallest"] is None
    assert not report["run"]["complete"]


def test_broken_photos_are_named_and_left_out_on_request_and_two_workers_train_on_the_rest(
    make_place: Callable[[], Place], ray_address: str
) -> None:
    place = make_place()
    broken = photos(place.folder / "photos", per_class=24)
    broken.write_bytes(broken.read_bytes()[:200])
    place.recipe(
        {
            "dataset": {"name": "image_folder", "root": str(place.folder / "photos"), "image_size": 32},
            "ladder": {"networks": ["plain_cnn_2", "user_networks:tiny"]},
            "training": {**TINY["training"], "steps": 8, "batch_size": 16, "augmentation": "resized_crop_flip"},
            "methods": ["labels", "kd"],
            "search": {"trials": 0},
            "resources": {"workers": 2},
            "seeds": [0],
        }
    )
    stopped = place.run(address=ray_address)
    assert stopped.code == 2
    assert stopped.err.count("train/bright/3.jpg") == stopped.err.count("skip_broken") == 1
    assert f"1 of 56 images below {place.folder / 'photos'} are broken:" in stopped.err

    finished = place.run("dataset.skip_broken=true", address=ray_address)
    assert finished.code == 0, finished.err[-3000:]
    records = place.artifacts()
    assert records["train/plain_cnn_2"]["results"]["workers"] == 2
    assert records["ingest"]["results"]["counts"]["skipped"] == 1


def test_photos_of_a_class_that_are_all_broken_are_refused_right_after_they_are_read(
    make_place: Callable[[], Place], ray_address: str
) -> None:
    place = make_place()
    root = place.folder / "photos"
    photos(root, per_class=6)
    for path in (root / "train" / "dark").iterdir():
        path.write_bytes(b"")
    place.recipe(
        {
            "dataset": {"name": "image_folder", "root": str(root), "image_size": 16, "skip_broken": True},
            "ladder": {"networks": ["plain_cnn_4", "plain_cnn_2"]},
            "training": {**TINY["training"], "augmentation": "none"},
            "methods": ["labels"],
            "search": {"trials": 0},
        }
    )
    refused = place.run(address=ray_address)
    assert refused.code == 2 and not place.artifacts() and "Traceback" not in refused.err
    assert re.search(r"class dark has no training image left: (\d) of \1 are broken", refused.err)
    assert f"6 of 20 images below {root} are broken:" in refused.err


@pytest.mark.thorough
def test_an_error_of_one_worker_ends_the_others_and_is_reported(
    make_place: Callable[[], Place], ray_address: str
) -> None:
    place = make_place()
    place.recipe(
        {
            "ladder": {"networks": ["user_networks:failing_on_one", "plain_cnn_2"]},
            "methods": ["kd"],
            "search": {"trials": 0},
            "resources": {"workers": 2},
            "seeds": [0],
        }
    )
    finished = place.run(address=ray_address)  # the other worker would wait for half an hour
    assert finished.code == 1
    assert "failing_on_one: the second worker has no such file" in finished.err
    assert "student/kd/seed-0" in finished.err and "Traceback" not in finished.err


@pytest.mark.parametrize(
    "change",
    ["resources.workers=30", "resources.student_gpus=1 training.precision=auto"],  # the precision is measured first
)
def test_a_request_above_the_cluster_s_resources_is_refused_before_anything_trains(
    make_place: Callable[[], Place], ray_address: str, change: str
) -> None:
    place = make_place()
    place.recipe()
    finished = place.run(*change.split(), address=ray_address)
    assert finished.code == 2
    assert change.split("=")[0] in finished.err and "never" in finished.err and "Traceback" not in finished.err
    assert not place.artifacts()
