"""A whole run on this machine's GPUs: skipped without one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tests.run.conftest import Place

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]


def test_a_run_on_gpus_that_students_share_is_complete_and_is_not_made_again(make_place: Callable[[], Place]) -> None:
    place = make_place()
    place.recipe()
    on_gpus = ("resources.gpus=1", "resources.student_gpus=0.25", "training.precision=bf16", "seeds=[0]")
    first = place.run(*on_gpus)
    assert first.code == 0, first.err
    assert {row["method"] for row in place.report()["methods"]} == {"labels", "kd", "ces_kd", "ces_random"}
    again = place.run(*on_gpus)
    assert again.code == 0 and "nothing left to do" in again.out
