"""User-defined data sets: fingerprinted by content, and refused with a message where unusable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestrator.datasets import TRAIN, VALIDATION, DatasetError, DatasetRecipe, describe, load

SETS = "tests.datasets.user_sets"


def example(_: str, folder: Path) -> DatasetRecipe:
    return DatasetRecipe(name=f"{SETS}:noise", root=str(folder))


def own(name: str) -> DatasetRecipe:
    return DatasetRecipe(name=f"{SETS}:{name}", root="nowhere")


def test_a_set_is_known_by_its_content() -> None:
    assert describe(own("noise")).fingerprint == describe(own("noise")).fingerprint
    assert describe(own("noise")).fingerprint != describe(own("with_another_pixel")).fingerprint


def test_validation_is_cut_as_from_any_other_set() -> None:
    found = load(own("noise").model_copy(update={"validation": 6}))
    assert np.sum(found.subset == VALIDATION) == 6 and np.sum(found.subset == TRAIN) == 24
    assert describe(own("noise").model_copy(update={"validation": 6})).train_images == 24


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("as_floats", r"as_floats: images: expected uint8 of shape \(40, 8, 8, 3\), found float64"),
        ("not_square", r"images has shape \(40, 4, 8, 3\); give \(images, size, size, channels\)"),
        ("without_test_images", r"subset has the values \[0\]; mark training images by TRAIN"),
        ("of_one_class", r"class_names has 1 names; give one a class"),
        ("short_severity", r"severity has shape \(3,\); give \(40,\), or None"),
        ("arrays_alone", r"returned a tuple; return orchestrator.datasets.ArrayImages"),
        ("from_a_file", r"from_a_file failed: FileNotFoundError: .*nowhere/missing.npy"),
        ("mising", r"module 'tests.datasets.user_sets' has no callable 'mising'"),
    ],
)
def test_an_unusable_set_is_refused_with_its_name_and_the_remedy(name: str, message: str) -> None:
    with pytest.raises(DatasetError, match=rf"^dataset\.name: .*{message}"):
        describe(own(name))


def test_a_module_that_is_not_there_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"dataset\.name: gone:images: there is no module 'gone'; install it"):
        describe(DatasetRecipe(name="gone:images"))


def test_a_set_that_has_changed_since_the_plan_is_refused_by_ingest() -> None:
    from orchestrator.pipeline.placement import Facts
    from orchestrator.recipe.resources import Resources
    from orchestrator.stages import ingest
    from orchestrator.stages.errors import StageError
    from orchestrator.stages.job import Job

    recipe = own("with_another_pixel")
    job = Job(
        kind="ingest", name="ingest", identity="ingest-0", inputs={}, storage="runs", dataset_root="nowhere",
        resources=Resources(), facts=Facts(dataset=recipe),
        spec={"dataset": {}, "fingerprint": describe(own("noise")).fingerprint},
    )  # fmt: skip
    with pytest.raises(StageError, match=r"^dataset: .*with_another_pixel is no longer what it was when the run was"):
        ingest.run(job)
