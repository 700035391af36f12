"""A run whose photos are packed into the storage: trained on, scored and shown from there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.artifacts.photos import PackedPhotos
from orchestrator.artifacts.reading import FolderFiles
from tests.run.conftest import TINY, Place
from tests.run.test_failures import photos

pytestmark = [pytest.mark.long, pytest.mark.thorough]


def test_packed_photos_are_needed_no_more_once_they_are_ingested(
    make_place: Callable[[], Place], ray_address: str
) -> None:
    place = make_place()
    root = place.folder / "photos"
    broken = photos(root, per_class=24)
    broken.write_bytes(broken.read_bytes()[:200])
    place.recipe(
        {
            "dataset": {
                "name": "image_folder", "root": str(root), "image_size": 24, "pack": True, "shrink": 16,
                "skip_broken": True,
            },
            "ladder": {"networks": ["plain_cnn_4", "plain_cnn_2"]},
            "training": {**TINY["training"], "steps": 8, "batch_size": 16, "augmentation": "resized_crop_flip"},
            "methods": ["labels", "kd"],
            "search": {"trials": 0},
            "seeds": [0],
        }
    )  # fmt: skip
    stopped = place.run("dataset.skip_broken=false", address=ray_address)
    assert stopped.code == 2 and "1 of 56 images" in stopped.err, stopped.err[-3000:]
    assert not list(place.storage.glob("artifacts/*/photos-*"))

    first = place.run("methods=[labels]", address=ray_address)
    assert first.code == 0, first.err[-3000:]
    ingest = place.artifacts()["ingest"]
    packed = PackedPhotos(FolderFiles(Path(place.storage, "artifacts", ingest["identity"])))
    assert len(packed) == sum(ingest["results"]["counts"].values()) - 1 == 55
    assert ingest["files"].keys() >= {shard.file for shard in packed.shards}

    hidden = root.rename(root.with_name("hidden"))
    (root / "train").mkdir(parents=True)
    shutil.copytree(hidden, root, dirs_exist_ok=True, copy_function=_empty_of_that_size)
    finished = place.run(address=ray_address)
    assert finished.code == 0, finished.err[-3000:]


def _empty_of_that_size(source: str, target: str) -> None:
    """Write a file that a listing can't tell from the photo, and no decoder can read."""
    with open(target, "wb") as file:
        file.truncate(Path(source).stat().st_size)
