"""A ladder of timm networks on photos: a teacher with weights from a file, a timm TA, an own small student."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.models import save_for_hf
from torch import Tensor
from torch.nn.functional import cross_entropy

from tests.run.conftest import Finished, Place

pytestmark = [pytest.mark.long, pytest.mark.thorough]

SIZE = 32
CLASSES = ("blue", "green", "red")
HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
TEACHER, STUDENT = "timm:test_resnet", "user_networks:tiny"
TA = "timm:test_convnext"
SAID = "the weights of timm:test_resnet were trained on images of mean [0.5, 0.5, 0.5]"


def photo(draws: np.random.Generator, label: int) -> np.ndarray:
    pixels = draws.integers(0, 170, (48, 40, 3), dtype=np.uint8)
    pixels[..., 2 - label] += 60
    return pixels


def write_photos(root: Path) -> None:
    draws = np.random.default_rng(0)
    for part, count in (("train", 40), ("val", 10), ("test", 10)):
        for label, name in enumerate(CLASSES):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                Image.fromarray(photo(draws, label)).save(root / part / name / f"{number}.jpg", quality=95)


def train_teacher(folder: Path) -> None:
    """Train a network of timm in a few lines of PyTorch, and save it as the Hugging Face hub has it."""
    torch.manual_seed(0)
    network: Any = timm.create_model("test_resnet", num_classes=len(CLASSES))
    draws = np.random.default_rng(1)
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    for _ in range(40):
        labels = torch.from_numpy(draws.integers(0, 3, 24))
        optimizer.zero_grad()
        cross_entropy(network.train()(batch(draws, labels)), labels).backward()
        optimizer.step()
    config = network.pretrained_cfg | HALF | {"input_size": (3, SIZE, SIZE), "num_classes": len(CLASSES)}
    save_for_hf(network, str(folder), model_config={"pretrained_cfg": config}, safe_serialization=True)


def batch(draws: np.random.Generator, labels: Tensor) -> Tensor:
    pixels = np.stack([photo(draws, int(label))[:SIZE, :SIZE] for label in labels])
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.5


def recipe(tas: list[str], methods: list[str], **of_the_teacher: Any) -> dict[str, Any]:
    return {
        "dataset": {"name": "image_folder", "root": "photos", "image_size": SIZE},
        "ladder": {"networks": [
            {"name": TEACHER, "weights": "teacher/model.safetensors", **of_the_teacher}, *tas, STUDENT
        ]},
        "training": {
            "steps": 20, "batch_size": 24, "augmentation": "resized_crop_flip", "precision": "fp32",
            "optimizer": {"name": "adamw", "learning_rate": 0.002},
        },
        "difficulty": {"scorer": "mean_loss"}, "search": {"trials": 0}, "methods": methods, "seeds": [0],
    }  # fmt: skip


@pytest.fixture(scope="module")
def place(make_place: Callable[[], Place]) -> Place:
    made = make_place()
    write_photos(made.folder / "photos")
    train_teacher(made.folder / "teacher")
    return made


@pytest.fixture(scope="module")
def run(place: Place, ray_address: str) -> Finished:
    """The whole run, with the normalisation of the teacher's weights in the recipe."""
    place.recipe(recipe([TA], ["kd", "ces_kd"], normalisation=HALF))
    return place.run(address=ray_address)


def test_the_whole_run_is_done(run: Finished, place: Place) -> None:
    assert run.code == 0, run.err
    assert all(row["test_accuracy"] is not None for row in place.report()["methods"])
    assert "timm" in place.report()["versions"]


def test_the_teacher_knows_what_it_learned_elsewhere(run: Finished, place: Place) -> None:
    results = place.artifacts()[f"pretrained/{TEACHER}"]["results"]
    assert results["validation_accuracy"] > 0.9 and results["mismatches"] == []
    assert SAID not in run.out + run.err


def test_a_normalisation_that_does_not_match_is_said_before_the_run_with_its_results_and_in_the_report(
    run: Finished, place: Place, ray_address: str
) -> None:
    assert run.code == 0
    place.recipe(recipe([], ["kd"]))
    planned = place.run("--dry-run")
    assert planned.code == 0 and (planned.out + planned.err).count(SAID) == 1
    again = place.run(address=ray_address)
    assert again.code == 0 and (again.out + again.err).count(SAID) == 2
    assert again.out.index(SAID) < again.out.index("starting Ray") < again.out.rindex(SAID)
    (text,) = [text for text in place.report()["warnings"] if text.startswith(SAID)]
    assert "(config.json beside model.safetensors), the data's images have mean [0.485, 0.456, 0.406]" in text
