"""The evaluation of a whole run's networks, done in this process."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from orchestrator.artifacts.evaluated import TEST_LOGITS, read_right, read_test_logits
from orchestrator.artifacts.reading import StoredFiles
from orchestrator.artifacts.store import Store
from orchestrator.artifacts.trained import OTHER_WEIGHTS, WEIGHTS
from orchestrator.pipeline.graph import Final, Plan
from orchestrator.report.content.schema import StudentRow
from orchestrator.report.storage import read
from tests.examples import tiny
from tests.export.runs import finish

RECIPE = (
    "methods=[labels, takd, dgkd]", "seeds=[0]", "search.trials=0", "distillation.source=online",
    "training.optimizer.learning_rate=0.3", "training.evaluate_every=4",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plan, Store]]:
    before = torch.get_num_threads()  # a stage sets the number of its process, here that of all tests
    store = Store(str(tmp_path_factory.mktemp("runs")))
    yield finish(tiny(*RECIPE), store), store
    torch.set_num_threads(before)


def student(run: tuple[Plan, Store], method: str) -> tuple[Final, StudentRow]:
    chosen, store = run
    final = next(final for final in chosen.finals if final.method == method)
    return final, next(row for row in read(store)["methods"] if row["method"] == method)


def test_an_expert_s_evaluation_stores_its_logits_and_a_student_s_does_not(run: tuple[Plan, Store]) -> None:
    chosen, store = run
    for evaluation in chosen.evaluations.values():
        record = store.find(evaluation.identity)
        assert record is not None
        logits = read_test_logits(StoredFiles(store, evaluation.identity))
        assert logits.shape == (record.results["test_images"], 4)
        loss = np.log(np.exp(logits.astype(np.float64)).sum(axis=1))  # at least that of the largest logit
        assert record.results["test_loss"] >= loss.mean() - 1e-3
    for final in chosen.finals:
        assert not StoredFiles(store, final.evaluate.identity).has(TEST_LOGITS)


def test_every_evaluation_tells_which_test_images_its_network_is_right_on(run: tuple[Plan, Store]) -> None:
    chosen, store = run
    for evaluation in (*chosen.evaluations.values(), *(final.evaluate for final in chosen.finals)):
        record = store.find(evaluation.identity)
        assert record is not None
        right = read_right(StoredFiles(store, evaluation.identity))
        assert right.dtype == np.bool_ and right.shape == (record.results["test_images"],)
        assert right.mean() == pytest.approx(record.results["test_accuracy"])


def test_a_student_is_compared_with_each_of_its_experts_and_with_the_teacher(run: tuple[Plan, Store]) -> None:
    assert student(run, "labels")[1]["fidelity"] == {}
    assert list(student(run, "takd")[1]["fidelity"]) == ["plain_cnn_4@sequential", "plain_cnn_8"]
    found = student(run, "dgkd")[1]["fidelity"]
    assert list(found) == ["plain_cnn_4@dense", "plain_cnn_6", "plain_cnn_8"]
    assert all(0 <= one["agreement"] <= 1 and one["kl_t1"] >= 0 and one["kl_t4"] >= 0 for one in found.values())


def test_both_weights_of_a_student_are_stored_and_measured(run: tuple[Plan, Store]) -> None:
    _, store = run
    differ = 0
    for method in ("labels", "takd", "dgkd"):
        final, row = student(run, method)
        record = store.find(final.train.identity)
        assert record is not None and WEIGHTS in record.files
        if OTHER_WEIGHTS in record.files:
            differ += 1
            assert record.results["other_step"] == record.results["steps"] != row["kept_step"]
        else:
            assert row["other_test_accuracy"] == row["test_accuracy"]
        assert row["other_validation_accuracy"] == record.results["last_validation_accuracy"]
        assert row["calibration_error"] is not None and row["other_test_accuracy"] is not None
    assert differ, "in no student the best and the last weights differ: the test shows nothing"


def test_experts_have_no_other_weights(run: tuple[Plan, Store]) -> None:
    chosen, store = run
    for expert in (*chosen.ladder, *chosen.others):
        assert not StoredFiles(store, expert.stage.identity).has(OTHER_WEIGHTS)
