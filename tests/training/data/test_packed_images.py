"""Views of packed photos are those of the same photos in files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from orchestrator.artifacts import dataset
from orchestrator.artifacts.photos import ShardWriter
from orchestrator.training.data.images import load
from tests.artifacts.formats import about_data
from tests.training.examples import CPU


def test_packed_photos_have_the_views_that_they_had_in_their_files(tmp_path: Path) -> None:
    photos, files, packed = (tmp_path / name for name in ("photos", "files", "packed"))
    for folder in (photos, files, packed):
        folder.mkdir()
    names = [f"{number}.jpg" for number in range(6)]
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 30 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / name)
    about = about_data(layout="files", image_size=16, image_shape=(3, 16, 16))
    labels, subset = np.arange(6) % 3, np.array([0, 0, 1, 0, 2, 0], np.uint8)
    dataset.write_files(files, about, labels, subset, names)
    with ShardWriter(packed, 0, shard_bytes=1) as writer:
        for name in names:
            writer.add(name, (photos / name).read_bytes())
    dataset.write_packed(packed, dataclasses.replace(about, layout="packed"), labels, subset, writer.shards)
    images, numbers = np.array([5, 0, 3]), [-1, 2]
    in_files, in_shards = (
        load(folder, root=root, augmentation="resized_crop_flip", views_seed=1, device=CPU)
        for folder, root in ((files, str(photos)), (packed, ""))
    )
    assert torch.equal(in_files.images.views(images, numbers), in_shards.images.views(images, numbers))
    assert in_files.labels.tolist() == in_shards.labels.tolist()
