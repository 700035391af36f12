"""Images of the data set that occur twice, and images of a single colour, as ingest has found them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORDS = {
    "leaked": "test images that are also for training or validation",
    "repeated": "images with the content of another one",
    "blank": "images of a single colour",
}


def odd_images(results: Mapping[str, Any]) -> list[str]:
    """Returns one sentence on the results of an ingest, or none; artifacts of old versions have no such results."""
    found: Mapping[str, Mapping[str, Any]] = results.get("odd_images", {})
    said = [
        f"{words}: {found[kind]['count']:,} ({', '.join(found[kind]['examples'])})"
        for kind, words in WORDS.items()
        if kind in found and found[kind]["count"]
    ]
    return [f"data set: {'; '.join(said)}"] if said else []
