"""A search that chooses which experts teach, and the students of what it found, through all stages in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator.artifacts.store import Store
from orchestrator.report.content.build import build
from tests.examples import planned
from tests.report.written import SIZES, fits
from tests.stages import in_process

OVERRIDES = (
    "dataset.synthetic={images: 224, test_images: 64, image_size: 12}",
    "dataset.validation=64",
    "ladder.networks=[plain_cnn_6, plain_cnn_4, plain_cnn_2]",
    "training={steps: 8, batch_size: 16, evaluate_every: 4, precision: fp32}",
    "difficulty={scorer: margin, held_out_folds: 0}",
    "distillation.views=2",
    "search={trials: 3, round_size: 3, methods: null, space: {experts: any}}",
    "methods=[ces_kd, ces_random, ces_teacher]",
    "seeds=[0]",
)
TAS, TEACHER = ["plain_cnn_4"], ["plain_cnn_6"]


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """A stage sets the number of its process, here that of all tests."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("source", ["cached", "online"])
def test_the_chosen_experts_teach_the_student_and_its_controls(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = planned(*OVERRIDES, f"distillation.source={source}")
    made = in_process.run(chosen, str(tmp_path), monkeypatch)
    tried = [trial["config"]["experts"] for trial in made["search"].results["trials"]]
    assert len(set(tried)) > 1 and set(tried) <= {"plain_cnn_4", "plain_cnn_6", "plain_cnn_4+plain_cnn_6"}
    best = made["search"].results["best"]["config"]["experts"].split("+")
    students = {method: made[f"student/{method}/seed-0"] for method in chosen.recipe.methods}
    taught_by = {method: student.results["taught_with"]["experts"] for method, student in students.items()}
    assert taught_by == {"ces_kd": best, "ces_random": best, "ces_teacher": TEACHER}

    content = build(chosen, Store(str(tmp_path)), {item.identity: item for item in made.values()}, set(), SIZES[:3])
    fits(content)
    strata = content["experts_by_stratum"]
    assert strata["experts"] == [*TAS, *TEACHER]
    shares = np.array(strata["methods"]["ces_kd"])
    assert shares.shape == (len(best), 2)
    assert {name for name, share in zip(strata["experts"], shares.sum(axis=0), strict=True) if share} <= set(best)
