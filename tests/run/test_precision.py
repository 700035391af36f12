"""Runs with a measured precision: once, for all stages, and for runs that continue them."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.run.conftest import TINY, Place

pytestmark = pytest.mark.long

ONLY_LABELS = {
    "ladder": {"networks": ["plain_cnn_4", "plain_cnn_2"]},
    "methods": ["labels"],
    "seeds": [0],
    "training": {**TINY["training"], "precision": "auto"},
}


def test_the_precision_is_measured_once_and_stays_that_of_the_storage(
    make_place: Callable[[], Place], ray_address: str
) -> None:
    place = make_place()
    place.recipe(ONLY_LABELS)
    undecided = place.run("--dry-run")
    assert "precision is auto and is measured when the run starts" in undecided.out

    first = place.run(address=ray_address)
    assert first.code == 0, first.err[-3000:]
    chosen = json.loads((place.storage / "precision.json").read_text())["cpu"]
    assert f"precision: {chosen['precision']} (measured on " in first.out
    specs = [record["spec"] for record in place.artifacts().values()]
    assert {spec["precision"] for spec in specs if "precision" in spec} == {chosen["precision"]}
    report = place.report()
    assert report["recipe"]["training"]["precision"] == chosen["precision"]
    assert f"{chosen['fp32_milliseconds']:.3g} ms in fp32" in report["run"]["precision"]

    other = "bf16" if chosen["precision"] == "fp32" else "fp32"
    assert "nothing left to do" in place.run(f"training.precision={chosen['precision']}").out
    assert "nothing left to do" in place.run().out
    # On a machine where the other one is faster the run goes on in the precision that it was begun in.
    (place.storage / "precision.json").write_text(json.dumps({"cpu": chosen | {"precision": other}}))
    assert "0 to do" not in place.run("--dry-run").out
