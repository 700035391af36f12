"""Input that imported weights want, and how it differs from the data's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from models.data_config import DataConfig
from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.recipe.choices import NormalisationSpec
from orchestrator.training.networks import new_network, open_network, renormalised
from orchestrator.training.weights.data_config import data_config_of, mismatches

HALF = NormalisationSpec(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
IMAGENET = NormalisationSpec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
CONFIG = {
    "architecture": "test_vit", "num_classes": 7,
    "pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "input_size": [3, 160, 160]},
}  # fmt: skip


def spec(name: str = "timm:test_vit", classes: int = 7) -> NetworkSpec:
    return NetworkSpec(name=name, classes=classes, channels=3, image_size=32)


def saved(folder: Path, metadata: dict[str, str] | None = None) -> Path:
    path = folder / "brought.safetensors"
    safetensors.torch.save_file(new_network(spec(), seed=1).state_dict(), path, metadata)
    return path


# -- where it is written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [CONFIG, {"architecture": "test_vit", **CONFIG["pretrained_cfg"]}])  # type: ignore[dict-item]
def test_it_is_taken_from_a_config_json_beside_the_file(content: object, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(content))
    found = data_config_of(saved(tmp_path), spec())
    assert found == DataConfig("config.json beside brought.safetensors", HALF.mean, HALF.std, 160)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"architecture": "resnet18", "mean": [0], "std": [1]}', "\x00"])
def test_a_config_json_about_something_else_is_passed_over(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    assert data_config_of(saved(tmp_path), spec()) is None


def test_it_is_taken_from_the_metadata_of_an_export(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    path = saved(tmp_path, {"mean": "[0.1, 0.2, 0.3]", "std": "[1, 1, 1]", "image_size": "48"})
    assert data_config_of(path, spec()) == DataConfig("in brought.safetensors", (0.1, 0.2, 0.3), (1, 1, 1), 48)


def test_it_is_taken_from_timm_for_a_name_with_a_tag_or_with_as_many_classes(tmp_path: Path) -> None:
    path = saved(tmp_path)
    tagged, published = (
        data_config_of(path, spec(*it)) for it in (("timm:test_vit.r160_in1k",), ("timm:test_vit", 1000))
    )
    assert tagged == published and tagged is not None
    assert (tagged.source, tagged.image_size) == ("timm's configuration of test_vit.r160_in1k", 160)
    # Trained by somebody on other classes, and nobody knows how.
    assert data_config_of(path, spec()) is None
    assert data_config_of(path, spec("resnet8")) is None


# -- differences -------------------------------------------------------------------------------------------------


def test_another_normalisation_is_said_with_both_and_with_the_field_to_set() -> None:
    (text,) = mismatches(spec(), DataConfig("config.json beside w", HALF.mean, HALF.std), IMAGENET, None)
    assert "the weights of timm:test_vit were trained on images of mean [0.5, 0.5, 0.5] and standard deviation" in text
    assert "(config.json beside w), the data's images have mean [0.485, 0.456, 0.406]" in text
    assert "set normalisation: {mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]} in its line of ladder.networks" in text


def test_another_image_size_is_said() -> None:
    (text,) = mismatches(spec(), DataConfig("x", image_size=160), IMAGENET, None)
    assert "images of 160 pixels (x), the data's have 32" in text and "dataset.image_size" in text


@pytest.mark.parametrize(
    ("given", "declared"),
    [
        (HALF, None),
        (NormalisationSpec(mean=(0.503, 0.5, 0.5), std=(0.5, 0.5, 0.495)), None),
        (None, None),
        (IMAGENET, HALF),
    ],
)
def test_nothing_is_said_of_a_normalisation_that_fits_is_not_known_or_is_converted(
    given: NormalisationSpec | None, declared: NormalisationSpec | None
) -> None:
    assert mismatches(spec(), DataConfig("x", HALF.mean, HALF.std, 32), given, declared) == []


def test_a_declared_normalisation_that_the_weights_do_not_want_is_said() -> None:
    (text,) = mismatches(spec(), DataConfig("x", HALF.mean, HALF.std), HALF, IMAGENET)
    assert "the recipe's normalisation has mean [0.485, 0.456, 0.406]" in text


# -- conversion --------------------------------------------------------------------------------------------------


def pixels() -> Tensor:
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def normalised(images: Tensor, by: NormalisationSpec) -> Tensor:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (by.mean, by.std))
    return (images - mean) / std


def test_a_renormalised_network_sees_the_images_that_its_weights_were_trained_on() -> None:
    network = new_network(spec(), seed=0).eval()
    with torch.inference_mode():
        wanted = network(normalised(pixels(), HALF))
        torch.testing.assert_close(renormalised(network, IMAGENET, HALF)(normalised(pixels(), IMAGENET)), wanted)


def test_it_comes_back_from_a_file_with_the_change_of_its_input(tmp_path: Path) -> None:
    network = renormalised(new_network(spec(), seed=1), IMAGENET, HALF).eval()
    safetensors.torch.save_file(network.state_dict(), tmp_path / "w.safetensors")
    opened = open_network(spec().model_copy(update={"renormalised": True}), tmp_path / "w.safetensors").network.eval()
    with torch.inference_mode():
        assert torch.equal(opened(pixels()), network(pixels()))
