"""Networks of timm in the registry."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import timm
import torch
from torch import nn

import models
from models import registry
from models.data_config import DataConfig
from models.norm_act import BatchNormAct2d

# Parameters with 1,000 classes, as timm publishes them, in thousands.
PUBLISHED = {"resnet10t": 5_440, "mobilenetv3_small_050": 1_590, "vit_tiny_patch16_224": 5_720, "levit_128s": 7_780}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_match_the_published_count(name: str) -> None:
    found = models.capacity(f"timm:{name}", num_classes=1000, image_size=224).parameters
    assert found == pytest.approx(PUBLISHED[name] * 1000, abs=6_000)


def test_attention_counts_in_multiply_adds() -> None:
    # 16 tokens and the class token, 64 wide; timm computes attention by a fused kernel.
    name = "vit_tiny_patch16_224"
    network: Any = timm.create_model(name, num_classes=10, img_size=64)
    tokens = (64 // 16) ** 2 + 1
    linear = sum(module.weight.numel() for module in network.blocks.modules() if isinstance(module, nn.Linear))
    attention = len(network.blocks) * 2 * tokens**2 * network.embed_dim
    patches = (tokens - 1) * 16 * 16 * 3 * network.embed_dim
    expected = tokens * linear + attention + patches + network.embed_dim * 10
    assert models.capacity(f"timm:{name}", num_classes=10, image_size=64).multiply_adds == expected


def test_a_network_computes_what_timm_s_own_does_under_the_same_names() -> None:
    mine, theirs = (
        models.create("timm:test_efficientnet", num_classes=5, image_size=32),
        timm.create_model("test_efficientnet", num_classes=5),
    )
    mine.load_state_dict(theirs.state_dict())
    assert any(type(module) is BatchNormAct2d for module in mine.modules())
    images = torch.randn(4, 3, 32, 32)
    for training in (True, False):
        torch.testing.assert_close(mine.train(training)(images), theirs.train(training)(images))
    assert all(torch.equal(value, theirs.state_dict()[name]) for name, value in mine.state_dict().items())


def test_a_network_of_a_fixed_size_is_made_for_the_images() -> None:
    for size in (32, 64):
        network = models.create("timm:test_vit", num_classes=7, in_channels=1, image_size=size)
        assert network(torch.zeros(2, 1, size, size)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("vit_tiny_patch16_224", 60, "patches of 16 pixels and would not see the rest of 60; choose a multiple of 16"),
        ("levit_128s", 8, "fails on an image of 3 x 8 x 8"),
    ],
)
def test_an_image_that_a_network_can_t_take_is_refused(name: str, size: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        models.capacity(f"timm:{name}", num_classes=10, image_size=size)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("timm:resnet10", r"'timm:resnet10' is unknown: did you mean .*resnet10t"),
        ("timm:", r"timm\.list_models\(\) lists them all"),
        ("timm:resnet10t.v9", r"has no weights 'v9'; the tags of resnet10t are .*c3_in1k"),
    ],
)
def test_names_that_timm_has_not_are_refused_with_those_it_has(name: str, said: str) -> None:
    assert not models.exists(name)
    with pytest.raises(models.UnknownNetwork, match=said):
        models.create(name, num_classes=10)


def test_a_tag_names_weights_and_their_data_configuration() -> None:
    assert models.exists("timm:resnet10t") and models.exists("timm:resnet10t.c3_in1k")
    expected = DataConfig(
        "timm's configuration of resnet10t.c3_in1k", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 176, 1000
    )
    assert registry.data_config("timm:resnet10t.c3_in1k") == registry.data_config("timm:resnet10t") == expected
    assert registry.data_config("resnet18") is None and registry.data_config("timm:nothing") is None


def test_without_timm_the_other_networks_are_there_and_the_message_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['timm'] = None\n"
        "import models; models.create('plain_cnn_2', num_classes=10); models.names()\n"
        "models.create('timm:resnet10t', num_classes=10)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "the package timm is not installed; pip install 'timm>=1.0.20', on every node" in done.stderr
