"""Accuracy and loss of a network on some images."""

from __future__ import annotations

import pytest
import torch

from orchestrator.training.data.views import CLEAN
from orchestrator.training.evaluation import NotFiniteError, evaluate, evaluate_finite
from orchestrator.training.networks import new_network
from tests.training.examples import data, training


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


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_have_no_accuracy(value: float) -> None:
    network, whole = new_network(training().network, 0), data()
    with torch.no_grad():
        list(network.parameters())[-1][0] = value
    with pytest.raises(NotFiniteError, match="the logits of teacher are not finite: look at its weights"):
        evaluate_finite("teacher", network, whole, whole.validation, bf16=False)
