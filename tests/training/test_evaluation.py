"""Accuracy and loss of a network on some images."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from orchestrator.artifacts.evaluated import LogitsWriter, read_test_logits
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.training.data.images import Request
from orchestrator.training.data.views import CLEAN
from orchestrator.training.evaluation import NotFiniteError, evaluate, evaluate_finite, measure
from orchestrator.training.networks import new_network
from tests.training.examples import Shown, data, training


class Counted(Shown):
    """Images that count how many of them were shown."""

    images_shown = 0

    def stream(self, requests: Iterable[Request]) -> Generator[Tensor, None, None]:
        for images, numbers in requests:
            self.images_shown += len(images) * len(numbers)
            yield self.views(images, numbers)


def test_validation_leaves_the_network_as_it_was() -> None:
    network = new_network(training().network, 0).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    whole = data()
    first, second = (evaluate(network, whole, whole.validation, bf16=False) for _ in range(2))
    assert first == second
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_validation_is_accuracy_and_mean_cross_entropy_of_the_clean_images() -> None:
    network, whole = new_network(training().network, 0), data()
    pixels = whole.images.views(whole.train, [CLEAN])[0]
    labels = whole.labels[torch.from_numpy(whole.train)]
    with torch.no_grad():
        logits = network.eval()(pixels)
    accuracy, loss = evaluate(network, whole, whole.train, bf16=False)
    assert accuracy == pytest.approx(float((logits.argmax(dim=1) == labels).float().mean()))
    assert loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-6)


def test_several_networks_are_measured_in_one_pass_as_each_is_alone() -> None:
    networks, whole = [new_network(training().network, seed) for seed in (0, 1)], data()
    shown = Counted(whole.images)
    stored: list[np.ndarray] = []
    expert = np.random.default_rng(0).normal(size=(len(whole.test), whole.classes)).astype(np.float16)
    first, (second,) = measure(
        "student", networks, dataclasses.replace(whole, images=shown), whole.test, False, {"teacher": expert},
        stored.append,
    )  # fmt: skip
    assert shown.images_shown == len(whole.test)
    for network, found in zip(networks, [(first.accuracy, first.loss), second], strict=True):
        assert found == evaluate(network, whole, whole.test, bf16=False)
    alone, others = measure("student", networks[:1], whole, whole.test, False, {"teacher": expert})
    assert (alone.calibration_error, alone.fidelity, others) == (first.calibration_error, first.fidelity, [])
    with torch.no_grad():
        logits = networks[0](whole.images.views(whole.test, [CLEAN])[0]).numpy()
    np.testing.assert_allclose(np.concatenate(stored), logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(first.right, logits.argmax(axis=1) == whole.labels[whole.test].numpy())
    agreement = float((logits.argmax(axis=1) == expert.argmax(axis=1)).mean())
    assert first.fidelity["teacher"]["agreement"] == pytest.approx(agreement)


def test_a_network_follows_its_own_logits_as_closely_as_fp16_tells(tmp_path: Path) -> None:
    network, whole = new_network(training().network, 0), data()
    writer = LogitsWriter(tmp_path, len(whole.test), whole.classes)
    measure("teacher", [network], whole, whole.test, False, {}, writer.put)
    writer.finish()
    logits = read_test_logits(FolderFiles(tmp_path))
    found, _ = measure("student", [network], whole, whole.test, False, {"teacher": logits})
    assert found.fidelity["teacher"]["agreement"] == 1.0
    assert 0 <= found.fidelity["teacher"]["kl_t1"] < 1e-5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_have_no_accuracy(value: float) -> None:
    network, whole = new_network(training().network, 0), data()
    with torch.no_grad():
        list(network.parameters())[-1][0] = value
    with pytest.raises(NotFiniteError, match="the logits of teacher are not finite: look at its weights"):
        evaluate_finite("teacher", network, whole, whole.validation, bf16=False)
    finite = new_network(training().network, 0)
    for networks in ([network], [finite, network]):
        with pytest.raises(NotFiniteError, match="the logits of teacher are not finite"):
            measure("teacher", networks, whole, whole.test, False, {})
