"""The experts that a student's fidelity is reported to: of all that a search chose from, those that taught it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from orchestrator.artifacts.trained import ASSIGNMENTS
from orchestrator.pipeline.kinds import EvaluateSpec
from orchestrator.report.content.fidelity import fidelity_rows
from tests.report.examples import Made, run_of
from tests.report.written import written

TEACHER = "plain_cnn_8"
FIDELITY = {"agreement": 0.9, "kl_t1": 0.5, "kl_t4": 0.25}


def taught_by(folder: Path, method: str, experts: list[str] | None) -> Made:
    """A run whose students are compared with all their experts, and taught by ``experts``, where that is known."""
    chosen, store, artifacts = run_of(folder, f"methods=[labels, {method}]", f"search.methods=[{method}]")
    for final in chosen.finals:
        if final.method == "labels":
            continue
        assert isinstance(final.evaluate.spec, EvaluateSpec)
        taught_with = artifacts[final.train.identity].results["taught_with"]
        if experts is not None:
            taught_with = taught_with | {"experts": experts}
            np.save(Path(store.folder(final.train.identity), ASSIGNMENTS), np.eye(len(experts), dtype=np.int64))
        changes = {
            final.train.identity: {"taught_with": taught_with},
            final.evaluate.identity: {"fidelity": dict.fromkeys(final.evaluate.spec.experts, FIDELITY)},
        }
        for identity, change in changes.items():
            artifact = artifacts[identity]
            artifacts[identity] = dataclasses.replace(artifact, results=artifact.results | change)
    return chosen, store, artifacts


@pytest.mark.parametrize(
    ("method", "experts", "shown"),
    [
        ("ces_kd", ["plain_cnn_4", "plain_cnn_6"], ["plain_cnn_4", "plain_cnn_6", TEACHER]),
        ("ces_kd", [TEACHER], [TEACHER]),
        ("ces_kd", None, ["plain_cnn_4", "plain_cnn_6", TEACHER]),  # of an old version, which searched no experts
        ("kd_early", ["plain_cnn_8@0.5"], ["plain_cnn_8@0.5", TEACHER]),
    ],
)
def test_it_is_that_to_the_experts_which_taught_and_to_the_teacher(
    method: str, experts: list[str] | None, shown: list[str], tmp_path: Path
) -> None:
    content, _ = written(*taught_by(tmp_path, method, experts))
    assert [list(row["fidelity"]) for row in content["methods"]] == [[], [], shown, shown]
    assert [row["expert"] for row in fidelity_rows(content["methods"])] == shown
