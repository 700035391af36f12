"""A run on photos in Parquet shards: packed, learnt from, listed once, and what is odd among them is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest

from tests.datasets.tables import table, write_parquet
from tests.run.conftest import TINY, Place

pytestmark = [pytest.mark.long, pytest.mark.thorough]


def test_shards_are_needed_no_more_once_they_are_ingested(make_place: Callable[[], Place], ray_address: str) -> None:
    place = make_place()
    root = place.folder / "shards"
    shards = {
        "data/train-00000-of-00002.parquet": table([0, 1] * 12),
        "data/train-00001-of-00002.parquet": table([1, 0] * 8, seed=1),
        "data/validation-00000-of-00001.parquet": table([0, 1] * 4, seed=1),  # the first photos of the second shard
    }
    write_parquet(root, shards)
    place.recipe(
        {
            "dataset": {"name": "parquet", "root": str(root), "image_size": 16, "validation": 8},
            "ladder": {"networks": ["plain_cnn_4", "plain_cnn_2"]},
            "training": {**TINY["training"], "steps": 8, "batch_size": 16, "augmentation": "resized_crop_flip"},
            "methods": ["labels"],
            "search": {"trials": 0},
            "seeds": [0],
        }
    )  # fmt: skip
    first = place.run(address=ray_address)
    assert first.code == 0, first.err[-3000:]
    found = place.artifacts()["ingest"]["results"]
    assert found["counts"] == {"train": 32, "validation": 8, "test": 8, "skipped": 0, "wrong_labels": 0}
    assert found["odd_images"]["leaked"]["count"] == 8 and found["odd_images"]["repeated"]["count"] == 0
    said = "data set: test images that are also for training or validation: 8 (row 0 of data/validation-00000-of-00001"
    assert f"warning: {said}" in first.out
    reports = place.storage / "reports"
    report = json.loads((reports / (reports / "latest").read_text().strip() / "report.json").read_text())
    assert report["warnings"][0].startswith(said)

    shutil.rmtree(root)
    again = place.run(address=ray_address)
    assert again.code == 0 and "images as listed on" in again.err + again.out
    assert "every stage is cached" in again.err + again.out
