"""Networks that only run forward: batch norm folded away, the same logits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import models
from models.scaled_input import ScaledInput
from orchestrator.training.guidance.inference import fold_batch_norm, ready_to_teach


def trained(network: nn.Module, image_size: int) -> nn.Module:
    """A network whose batch norms have seen something, so that folding has something to get wrong."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.randn(8, 3, image_size, image_size, generator=generator) * 2 + 1)
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


OF_TIMM = ["timm:resnet10t", "timm:mobilenetv3_small_050", "timm:test_vit", "timm:levit_128s"]


@pytest.mark.parametrize(
    "name", ["plain_cnn_2", "plain_cnn_6", "resnet8", "resnet14", "wrn_16_1", "resnet18", *OF_TIMM]
)
def test_a_folded_network_gives_the_same_logits(name: str) -> None:
    network = trained(models.create(name, num_classes=10, in_channels=3, image_size=32), 32)
    pixels = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = network(pixels)
        folded = ready_to_teach(network, torch.device("cpu"))
        torch.testing.assert_close(folded(pixels), wanted, rtol=1e-3, atol=1e-3)
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert not any(module.training for module in folded.modules())


@pytest.mark.parametrize(
    ("name", "left"), [("plain_cnn_6", 0), ("resnet14", 0), ("resnet18", 0), *((name, 0) for name in OF_TIMM)]
)
def test_no_batch_norm_is_left_after_a_convolution(name: str, left: int) -> None:
    assert norms(fold_batch_norm(models.create(name, num_classes=10, in_channels=3, image_size=32).eval())) == left


def test_a_scaled_input_stays_before_what_is_folded() -> None:
    body = models.create("resnet8", num_classes=10, in_channels=3, image_size=16)
    network = trained(ScaledInput(body, torch.tensor([2.0, 1.0, 0.5]), torch.tensor([0.1, 0.0, -0.3])), 16)
    pixels = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted = network(pixels)
        folded = fold_batch_norm(network)
        torch.testing.assert_close(folded(pixels), wanted, rtol=1e-3, atol=1e-3)
    assert norms(folded) == 0


class BranchesOnItsInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

    def forward(self, images: Tensor) -> Tensor:
        features = self.body(images)
        return features.mean((2, 3)) if features.sum() > 0 else -features.mean((2, 3))


def test_a_network_that_branches_on_its_input_stays_as_it_is() -> None:
    network = BranchesOnItsInput().eval()
    assert fold_batch_norm(network) is network


class OneConvolutionTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shared, self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor:
        return self.second(self.shared(self.first(self.shared(images)))).flatten(1)


def test_a_convolution_that_is_used_twice_is_not_folded_into() -> None:
    network = trained(OneConvolutionTwice(), 8)
    pixels = torch.randn(4, 3, 8, 8)
    with torch.inference_mode():
        wanted = network(pixels)
        torch.testing.assert_close(fold_batch_norm(network)(pixels), wanted)
    assert norms(network) == 2
