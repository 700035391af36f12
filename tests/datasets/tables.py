"""Small tables of photos, in the layouts that Hugging Face's ``datasets`` and the hub write."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = ("cat", "dog")


def photos(count: int, seed: int = 0) -> list[bytes]:
    """JPEG files of random noise."""
    pixels, files = np.random.default_rng(seed), []
    for _ in range(count):
        target = io.BytesIO()
        Image.fromarray(pixels.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(target, "JPEG")
        files.append(target.getvalue())
    return files


def table(labels: Sequence[Any], names: Sequence[str] | None = CLASSES, *, seed: int = 0, **columns: str) -> pa.Table:
    """Photos with these labels; ``names`` are declared in the schema. ``columns`` rename image and label."""
    image, label = columns.get("image", "image"), columns.get("label", "label")
    values = [{"bytes": content, "path": f"{number}.jpg"} for number, content in enumerate(photos(len(labels), seed))]
    images = pa.array(values, pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    found = pa.table({image: images, label: pa.array(labels)})
    if names is None:
        return found
    features = {image: {"_type": "Image"}, label: {"names": list(names), "_type": "ClassLabel"}}
    return found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def write_parquet(root: Path, shards: Mapping[str, pa.Table], rows: int = 3) -> Path:
    """Write each table to the path below ``root`` that it is named by, in groups of ``rows``."""
    for path, content in shards.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(content, root / path, row_group_size=rows)
    return root


def write_saved(root: Path, splits: Mapping[str, Sequence[pa.Table]]) -> Path:
    """Write splits, each in one or more shards, as ``DatasetDict.save_to_disk`` does."""
    root.mkdir()
    (root / "dataset_dict.json").write_text(json.dumps({"splits": list(splits)}))
    for split, shards in splits.items():
        names = [f"data-{number:05d}-of-{len(shards):05d}.arrow" for number in range(len(shards))]
        (root / split).mkdir()
        (root / split / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
        for name, content in zip(names, shards, strict=True):
            with pa.OSFile(str(root / split / name), "wb") as file, pa.ipc.new_stream(file, content.schema) as writer:
                writer.write_table(content, max_chunksize=2)
    return root
